package wire

import "bytes"

// ContentWriter writes a message whose line ends are LF to the wire: LF
// becomes CR LF, except behind a CR, and a dot at the start of a line is doubled
// (DATA framing of SMTP, LMTP and POP3).
type ContentWriter struct {
	w   *Writer
	bol bool
	cr  bool // the last octet was CR
}

// NewDotWriter writes in DATA framing. Close ends the message.
func NewDotWriter(w *Writer) *ContentWriter { return &ContentWriter{w: w, bol: true} }

// Write converts p, which is not changed. It returns len(p) or an error.
func (c *ContentWriter) Write(p []byte) (int, error) {
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
