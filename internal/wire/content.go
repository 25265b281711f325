package wire

import "io"

// Content is a message that is being read in DATA framing. It ends with
// io.EOF; the reader is then at the next line. It belongs to the goroutine of
// its Reader, which must not be used otherwise until the end.
type Content struct {
	r    *Reader
	s    scanner
	out  []byte
	err  error // sticky: io.EOF after the end
	done bool
}

// Content starts to read a message up to the lone dot.
func (r *Reader) Content(bare Policy) *Content {
	r.enlarge()
	return &Content{r: r, s: scanner{dots: true, bare: bare, bol: true}}
}

// LF asks for LF line ends; to be called before the first octet is read.
func (c *Content) LF() { c.s.lf = true }

// Size is the number of octets read so far, with CR LF line ends and without
// stuffed dots: what RFC 1870 counts.
func (c *Content) Size() int64 { return c.s.size }

// Next returns the next piece of the message, valid until the next call on c
// or its reader. It never returns an empty piece without an error. ErrBareLF
// and ErrBareCR come as soon as they are seen; Drain then finds the end.
func (c *Content) Next() ([]byte, error) {
	if len(c.out) > 0 {
		p := c.out
		c.out = nil
		return p, nil
	}
	if c.err != nil {
		return nil, c.err
	}
	for {
		out, err := c.advance()
		switch {
		case c.s.err != nil:
			c.err = c.s.err
			return nil, c.err
		case err != nil:
			c.err = err
			if len(out) == 0 {
				return nil, err
			}
			return out, nil
		case len(out) > 0:
			return out, nil
		}
	}
}

// advance converts what is buffered, reading more when that is too little.
func (c *Content) advance() ([]byte, error) {
	for {
		r := c.r
		out, used, done := c.s.step(r.buf[r.pos:r.end], false)
		r.pos += used
		if done {
			c.done = true
			return out, io.EOF
		}
		if used > 0 {
			return out, nil
		}
		if err := r.fill(); err != nil {
			return nil, atEnd(err, true)
		}
	}
}

// Read is Next for io.Reader.
func (c *Content) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	piece, err := c.Next()
	if err != nil {
		return 0, err
	}
	n := copy(p, piece)
	c.out = piece[n:]
	return n, nil
}

// WriteTo writes the whole message to w.
func (c *Content) WriteTo(w io.Writer) (int64, error) { return writeAll(c.Next, w) }

// Drain reads to the end of the message and drops what it reads. It returns
// nil when the end was found, whatever errors the content had before.
func (c *Content) Drain() error {
	c.out = nil
	for !c.done {
		if _, err := c.advance(); err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

func writeAll(next func() ([]byte, error), w io.Writer) (int64, error) {
	var total int64
	for {
		p, err := next()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(p)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}
