package mime

import "bytes"

// AppendNString appends NIL, or s as IMAP's string.
func AppendNString(dst, s []byte, present bool) []byte {
	if !present {
		return append(dst, "NIL"...)
	}
	return AppendString(dst, s)
}

// longQuoted is where a quoted string ends to be polite to clients with line
// limits (RFC 2683 section 3.2.1.5) and a literal begins.
const longQuoted = 1000

// The classes of octets in a quoted string.
const (
	plain = iota
	escaped
	unquotable
)

var quoteClass = func() (t [256]uint8) {
	for c := 0x80; c < 256; c++ {
		t[c] = unquotable
	}
	t[0], t['\r'], t['\n'] = unquotable, unquotable, unquotable
	t['"'], t['\\'] = escaped, escaped
	return t
}()

// AppendString appends s as a quoted string, or as a literal when it has
// octets that a quoted string cannot hold (RFC 3501 section 9). NUL, which
// neither can hold, becomes 0x80 as in Dovecot.
func AppendString(dst, s []byte) []byte {
	worst := uint8(plain)
	for _, c := range s {
		worst = max(worst, quoteClass[c])
	}
	if worst == unquotable || len(s) > longQuoted {
		return appendLiteral(dst, s)
	}
	dst = append(dst, '"')
	if worst == plain {
		dst = append(dst, s...)
		return append(dst, '"')
	}
	for _, c := range s {
		if quoteClass[c] == escaped {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

func appendLiteral(dst, s []byte) []byte {
	dst = append(dst, '{')
	dst = appendUint(dst, uint64(len(s)))
	dst = append(dst, "}\r\n"...)
	from := len(dst)
	dst = append(dst, s...)
	for rest := dst[from:]; ; {
		i := bytes.IndexByte(rest, 0)
		if i < 0 {
			return dst
		}
		rest[i] = 0x80
		rest = rest[i+1:]
	}
}

func appendUint(dst []byte, n uint64) []byte {
	var tmp [20]byte
	i := len(tmp)
	for {
		i--
		tmp[i] = byte('0' + n%10)
		n /= 10
		if n == 0 {
			return append(dst, tmp[i:]...)
		}
	}
}
