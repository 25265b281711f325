package wire

import "bytes"

// ContentWriter writes a message whose line ends are LF to the wire: LF
// becomes CR LF, except behind a CR. It is the one place that does. What else
// it does depends on who made it: a dot at the start of a line is doubled (DATA
// framing of SMTP, LMTP and POP3), or NUL becomes what a literal can hold.
type ContentWriter struct {
	w     *Writer
	dots  bool
	bol   bool
	cr    bool // the last octet was CR
	relay bool // no CR goes out that is not of a CR LF
	held  bool // a CR of relay waits for the octet behind it

	nul        bool  // NUL becomes 0x80
	window     bool  // skip octets are left out, and left more are written
	skip, left int64 // of the wire form
	sent       int64
	offset     Offset
}

// Offset is a place in a content, in octets that were given to a ContentWriter and
// in those of their wire form.
type Offset struct{ Stored, Wire int64 }

// NewDotWriter writes in DATA framing. Close ends the message.
func NewDotWriter(w *Writer) *ContentWriter { return &ContentWriter{w: w, dots: true, bol: true} }

// NewRelayWriter is NewDotWriter for a message that goes to another system: a CR
// that is not followed by LF becomes a space, as with Postfix's
// cleanup_replace_stray_cr_lf. A bare LF cannot come up, because each LF is a
// line end here. What a system behind makes of a bare CR is what SMTP smuggling
// is made of. The size stays what WireSize says.
func NewRelayWriter(w *Writer) *ContentWriter {
	return &ContentWriter{w: w, dots: true, bol: true, relay: true}
}

// NewRelayChunkWriter is NewRelayWriter without DATA framing, for BDAT (RFC 3030), whose
// chunks say their length. Close completes the last line, too.
func NewRelayChunkWriter(w *Writer) *ContentWriter {
	return &ContentWriter{w: w, bol: true, relay: true}
}

// NewLineWriter writes lines as they are but for their ends: a dialogue, not a message.
// It holds nothing back but in w, and needs no Close.
func NewLineWriter(w *Writer) *ContentWriter { return &ContentWriter{w: w} }

// NewLiteralWriter writes octets of a message into a literal of IMAP, which has
// no end but its length. NUL, which a literal cannot hold (RFC 3501 section 9,
// CHAR8), becomes 0x80, as in Dovecot; sizes and offsets stay what they are.
func NewLiteralWriter(w *Writer) *ContentWriter { return &ContentWriter{w: w, nul: true} }

// Window makes a literal writer leave out octets of the wire form, and stop
// after length more. It is called before the first Write.
func (c *ContentWriter) Window(skip, length int64) {
	c.window, c.skip, c.left = true, skip, length
}

// Full says that what the window lets through was written.
func (c *ContentWriter) Full() bool { return c.window && c.left == 0 }

// Resume says that the octets before the first were written by another writer
// up to its Mark at, and whether the last of them was a CR. The window is
// counted from there.
func (c *ContentWriter) Resume(at Offset, cr bool) { c.offset, c.cr = at, cr }

// Offset is a place up to which all was within the window or before it: another
// writer can resume there.
func (c *ContentWriter) Offset() Offset { return c.offset }

// Sent is how many octets a literal writer has written.
func (c *ContentWriter) Sent() int64 { return c.sent }

// Write converts p, which is not changed. It returns len(p) or an error.
func (c *ContentWriter) Write(p []byte) (int, error) {
	if !c.relay || !c.held && bytes.IndexByte(p, '\r') < 0 {
		return c.write(p)
	}
	total := len(p)
	for len(p) > 0 {
		n, err := c.withoutStrayCR(p)
		if err != nil {
			return 0, err
		}
		p = p[n:]
	}
	return total, nil
}

// withoutStrayCR writes a part of p that ends with the octet behind a CR, or
// before one that the end of p leaves open, and returns its length.
func (c *ContentWriter) withoutStrayCR(p []byte) (int, error) {
	if c.held {
		c.held = false
		before := []byte{' '}
		if p[0] == '\n' {
			before[0] = '\r'
		}
		return c.writeAs(before, 0)
	}
	i := bytes.IndexByte(p, '\r')
	if i < 0 {
		return c.writeAs(p, len(p))
	}
	c.held = true
	return c.writeAs(p[:i], i+1)
}

// writeAs writes text and returns n.
func (c *ContentWriter) writeAs(text []byte, n int) (int, error) {
	_, err := c.write(text)
	return n, err
}

func (c *ContentWriter) write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 && !c.Full() {
		if c.dots && c.bol && p[0] == '.' {
			c.w.WriteByte('.') // the error sticks
		}
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			c.bol, c.cr = false, p[len(p)-1] == '\r'
			c.text(p)
			c.advance(len(p), 0)
			break
		}
		if i > 0 {
			c.cr = p[i-1] == '\r'
		}
		added := 1
		if c.cr {
			added = 0
		}
		if c.window {
			c.clipped(p[:i])
		} else {
			c.line(p[:i])
			c.sent += int64(i + 1 + added)
		}
		c.advance(i+1, added)
		c.bol, c.cr = true, false
		p = p[i+1:]
		if c.w.err != nil {
			break
		}
	}
	if c.w.err != nil {
		return 0, c.w.err
	}
	return total, nil
}

// advance moves the mark over stored octets that more were added to.
func (c *ContentWriter) advance(stored, more int) {
	if !c.Full() {
		c.offset.Stored += int64(stored)
		c.offset.Wire += int64(stored + more)
	}
}

// clipped writes what of a line and its end lies in the window.
func (c *ContentWriter) clipped(line []byte) {
	c.text(line)
	if !c.cr {
		c.text([]byte{'\r'})
	}
	c.text([]byte{'\n'})
}

// text writes octets without a line end in them, or what of them lies in the
// window.
func (c *ContentWriter) text(p []byte) {
	if c.window {
		n := min(c.skip, int64(len(p)))
		c.skip -= n
		p = p[n:]
		p = p[:min(c.left, int64(len(p)))]
		c.left -= int64(len(p))
	}
	c.sent += int64(len(p))
	c.put(p)
}

// put writes octets, without NUL if there is to be none.
func (c *ContentWriter) put(p []byte) {
	for c.nul {
		i := bytes.IndexByte(p, 0)
		if i < 0 {
			break
		}
		c.w.Write(p[:i])
		c.w.WriteByte(0x80)
		p = p[i+1:]
	}
	c.w.Write(p)
}

// line writes text and a line end; in the usual case straight into the block.
func (c *ContentWriter) line(text []byte) {
	room := c.w.room()
	if len(room) < len(text)+2 {
		c.put(text)
		if !c.cr {
			c.w.WriteByte('\r')
		}
		c.w.WriteByte('\n')
		return
	}
	n := copy(room, text)
	if c.nul {
		for rest := room[:n]; ; {
			i := bytes.IndexByte(rest, 0)
			if i < 0 {
				break
			}
			rest[i] = 0x80
			rest = rest[i+1:]
		}
	}
	if !c.cr {
		room[n] = '\r'
		n++
	}
	room[n] = '\n'
	c.w.n += n + 1
}

// Close ends a message in DATA framing, or in chunks: it completes the last line when that has
// no line end (a text protocol cannot say otherwise) and writes the lone dot of DATA framing. It
// does not flush.
func (c *ContentWriter) Close() error {
	if c.held { // it becomes the line end that the last line lacks
		c.held = false
		c.write([]byte{'\r'}) // the error sticks
	}
	switch {
	case c.bol:
	case c.cr:
		c.w.WriteByte('\n')
	default:
		c.w.WriteString("\r\n")
	}
	if c.dots {
		c.w.WriteString(".\r\n")
	}
	c.bol = true
	return c.w.err
}
