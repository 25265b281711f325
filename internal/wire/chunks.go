package wire

import (
	"io"
	"math"
)

// Chunks is a message that is being read in BDAT framing (RFC 3030): pieces
// of announced length with commands between them.
type Chunks struct {
	r    *Reader
	s    scanner
	left int64
	last bool
	held int // CRs at the end of the last chunk
	back int // CRs put back into the reader
}

// Chunks starts to read a message. There is nothing to read before Chunk.
func (r *Reader) Chunks(bare Policy) *Chunks {
	return &Chunks{r: r, s: scanner{bare: bare}}
}

// LF asks for LF line ends; to be called before the first octet is read.
func (c *Chunks) LF() { c.s.lf = true }

// Size is the number of octets read so far, with CR LF line ends.
func (c *Chunks) Size() int64 { return c.s.size + int64(c.held) }

// Chunk announces that the next n octets of the reader belong to the message,
// and whether they are the last. The chunk before must have been read.
func (c *Chunks) Chunk(n int64, last bool) {
	c.r.enlarge()
	if c.held > 0 {
		// The CRs may belong to an LF in this chunk. The reader has room
		// before its unread octets.
		c.r.pos -= c.held
		for i := range c.held {
			c.r.buf[c.r.pos+i] = '\r'
		}
		n = min(n, math.MaxInt64-int64(c.held)) + int64(c.held)
		c.held = 0
	}
	c.left, c.last, c.back = n, last, 0
}

// Left is how much of the chunk is unread.
func (c *Chunks) Left() int64 { return c.left }

// Next returns the next piece of the chunk, as Content.Next does. io.EOF is
// the end of the chunk, or of the message when the chunk was the last.
func (c *Chunks) Next() ([]byte, error) {
	for c.left > 0 {
		p, err := c.piece()
		if err != nil {
			return nil, atEnd(err, true)
		}
		whole := int64(len(p)) == c.left
		out, used, _ := c.s.step(p, whole && c.last)
		c.keep(len(p)-used, whole)
		c.left -= int64(used)
		if c.s.err != nil {
			return nil, c.s.err
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	if c.s.err != nil {
		return nil, c.s.err
	}
	return nil, io.EOF
}

// piece takes unread octets of the chunk, more of them than were put back. It
// is the one place that reads into the buffer, and it comes before the piece is
// handed out: what the caller has may lie where the next octets go.
func (c *Chunks) piece() ([]byte, error) {
	if c.r.Buffered() <= c.back {
		if err := c.r.fill(); err != nil {
			return nil, err
		}
	}
	c.back = 0
	return c.r.next(c.left)
}

// keep puts rest octets, which only the octet behind them can explain, back
// into the reader, or notes them when the chunk ends with them.
func (c *Chunks) keep(rest int, whole bool) {
	if whole {
		c.held = rest
		c.left -= int64(rest)
		return
	}
	c.r.pos -= rest
	c.back = rest
}

// Drain drops the rest of the chunk.
func (c *Chunks) Drain() error {
	c.back = 0
	for c.left > 0 {
		p, err := c.r.next(c.left)
		if err != nil {
			return atEnd(err, true)
		}
		c.left -= int64(len(p))
	}
	return nil
}
