package wire

import "bytes"

// ContentWriter writes a message whose line ends are LF to the wire: LF
// becomes CR LF, except behind a CR, and a dot at the start of a line is doubled
// (DATA framing of SMTP, LMTP and POP3).
type ContentWriter struct {
	w     *Writer
	bol   bool
	cr    bool // the last octet was CR
	relay bool // no CR goes out that is not of a CR LF
	held  bool // a CR of relay waits for the octet behind it
}

// NewDotWriter writes in DATA framing. Close ends the message.
func NewDotWriter(w *Writer) *ContentWriter { return &ContentWriter{w: w, bol: true} }

// NewRelayWriter is NewDotWriter for a message that goes to another system: a CR
// that is not followed by LF becomes a space, as with Postfix's
// cleanup_replace_stray_cr_lf. A bare LF cannot come up, because each LF is a
// line end here. What a system behind makes of a bare CR is what SMTP smuggling
// is made of. The size stays what WireSize says.
func NewRelayWriter(w *Writer) *ContentWriter { return &ContentWriter{w: w, bol: true, relay: true} }

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
	for len(p) > 0 {
		if c.bol && p[0] == '.' {
			c.w.WriteByte('.') // the error sticks
		}
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			c.bol, c.cr = false, p[len(p)-1] == '\r'
			c.w.Write(p)
			break
		}
		if i > 0 {
			c.cr = p[i-1] == '\r'
		}
		c.line(p[:i])
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

// line writes text and a line end; in the usual case straight into the block.
func (c *ContentWriter) line(text []byte) {
	room := c.w.room()
	if len(room) < len(text)+2 {
		c.w.Write(text)
		if !c.cr {
			c.w.WriteByte('\r')
		}
		c.w.WriteByte('\n')
		return
	}
	n := copy(room, text)
	if !c.cr {
		room[n] = '\r'
		n++
	}
	room[n] = '\n'
	c.w.n += n + 1
}

// Close ends the message: it completes the last line when that has no line end
// (a text protocol cannot say otherwise) and writes the lone dot. It does not
// flush.
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
	c.w.WriteString(".\r\n")
	c.bol = true
	return c.w.err
}

// WireSize is the number of octets that content p with LF line ends has in CR
// LF form, when it is written as one piece.
func WireSize(p []byte) int64 {
	n := int64(len(p))
	for rest := p; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return n
		}
		if at := len(p) - len(rest) + i; at == 0 || p[at-1] != '\r' {
			n++
		}
		rest = rest[i+1:]
	}
}
