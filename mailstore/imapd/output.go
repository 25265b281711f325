package imapd

import (
	"bytes"
	"strconv"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/mime"
)

// blockPool lends blocks of blockSize.
type blockPool struct{ p sync.Pool }

func (p *blockPool) get() *[]byte {
	if b, ok := p.p.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, blockSize)
	return &b
}

func (p *blockPool) put(b *[]byte) { p.p.Put(b) }

// Output is appended to c.out, which is borrowed when the first octet comes
// and given back by flush: a connection that waits has none. spill is called
// between responses and between pieces of a literal and writes once a block is
// nearly full. An error of a write sticks in werr and is found by the next
// flush.

// buf returns the gathered output to append to; set puts it back.
func (c *conn) buf() []byte {
	if c.out == nil {
		c.outBlock = c.blocks.get()
		c.out = (*c.outBlock)[:0]
	}
	return c.out
}

// spillAt leaves room for an ordinary response behind it.
const spillAt = blockSize - 2048

// spill writes when a block is nearly full.
func (c *conn) spill() {
	if len(c.out) >= spillAt {
		c.write()
	}
}

func (c *conn) write() {
	if c.werr == nil {
		var n int
		n, c.werr = c.link.Write(c.out, c.writeTimeout)
		c.sent += int64(n)
		c.unheard = 0
	}
	c.out = c.out[:0]
}

// flush writes what is gathered and gives the block back.
func (c *conn) flush() error {
	if len(c.out) > 0 {
		c.write()
	}
	c.releaseOut()
	return c.werr
}

func (c *conn) releaseOut() {
	if c.outBlock != nil {
		// A response longer than the block made append move away from it.
		c.blocks.put(c.outBlock)
		c.out, c.outBlock = nil, nil
	}
}

// writeString appends text.
func (c *conn) writeString(s string) { c.out = append(c.buf(), s...) }

// writeText appends text of a message piece by piece.
func (c *conn) writeText(b []byte) {
	for len(b) > 0 {
		out := c.buf()
		n := min(len(b), max(blockSize-len(out), 1))
		c.out = appendText(out, b[:n])
		b = b[n:]
		c.spill()
	}
}

// appendText appends text of a message as a literal can hold it: NUL, which it
// cannot (RFC 3501 section 9, CHAR8), becomes 0x80, as in Dovecot. Sizes and
// offsets stay what they are.
func appendText(dst, text []byte) []byte {
	from := len(dst)
	dst = append(dst, text...)
	for rest := dst[from:]; ; {
		i := bytes.IndexByte(rest, 0)
		if i < 0 {
			return dst
		}
		rest[i] = 0x80
		rest = rest[i+1:]
	}
}

// appendNumber appends a number.
func appendNumber[T ~uint32 | ~int | ~int64 | ~uint64](dst []byte, n T) []byte {
	return strconv.AppendUint(dst, uint64(n), 10)
}

// appendFlags appends a flag list with its brackets.
func appendFlags(dst []byte, flags []imap.Flag, recent bool) []byte {
	dst = append(dst, '(')
	for i, f := range flags {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, f...)
	}
	if recent {
		if len(flags) > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, `\Recent`...)
	}
	return append(dst, ')')
}

// appendDateTime appends INTERNALDATE's form (RFC 3501 date-time).
func appendDateTime(dst []byte, t time.Time) []byte {
	return t.AppendFormat(dst, `"_2-Jan-2006 15:04:05 -0700"`)
}

// appendMailbox appends a mailbox name as a modified UTF-7 astring.
func appendMailbox(dst []byte, name string) []byte {
	return mime.AppendString(dst, encodeUTF7(name))
}

// appendUIDSet appends UIDs as a set, runs as ranges, in the order given:
// COPYUID's two sets correspond by position (RFC 4315 section 3).
func appendUIDSet(dst []byte, uids []imap.UID) []byte {
	for i := 0; i < len(uids); {
		j := i + 1
		for j < len(uids) && uids[j] == uids[j-1]+1 {
			j++
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendNumber(dst, uids[i])
		if j-i > 1 {
			dst = append(dst, ':')
			dst = appendNumber(dst, uids[j-1])
		}
		i = j
	}
	return dst
}

// appendAstring appends s as an atom if it is one, else as a string.
func appendAstring(dst []byte, s string) []byte {
	for i := range len(s) {
		if atomEnd[s[i]] || s[i] == ']' || s[i] >= 0x80 {
			return mime.AppendString(dst, []byte(s))
		}
	}
	if s == "" {
		return append(dst, `""`...)
	}
	return append(dst, s...)
}
