package smtp

import (
	"fmt"

	"toastmaster/internal/wire"
)

// chunkSize is the most that one BDAT carries. A larger one needs as many octets of
// memory, and saves nothing where the peer has PIPELINING.
const chunkSize = 64 << 10

// chunksAhead is how many chunks are on their way without a reply, with PIPELINING.
// Their replies are short; what bounds them is that a peer which refuses the first
// gets the others in vain.
const chunksAhead = 4

// chunker sends a content by BDAT (RFC 3030). It is the destination of the
// wire.Writer that gathers lines, so it sees them in large pieces.
type chunker struct {
	session *session
	buf     []byte
	// pending replies are not read yet.
	pending int
	// refused is the first reply that was no success: the peer takes nothing more.
	refused *reply
}

// Write takes octets of the wire form. After a refusal it takes them in silence.
func (c *chunker) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if len(c.buf) == chunkSize {
			if err := c.send(false); err != nil {
				return 0, err
			}
		}
		n := min(len(p), chunkSize-len(c.buf))
		c.buf = append(c.buf, p[:n]...)
		p = p[n:]
	}
	return total, nil
}

// send writes the chunk that is in buf, and reads replies when too many are not read.
func (c *chunker) send(last bool) error {
	s := c.session
	defer func() { c.buf = c.buf[:0] }()
	if c.refused != nil {
		return nil
	}
	end := "\r\n"
	if last {
		end = " LAST\r\n"
		s.commit()
	}
	fmt.Fprintf(s.out, "BDAT %d%s", len(c.buf), end)
	s.out.Write(c.buf)
	if err := s.out.Flush(); err != nil {
		return err
	}
	if last {
		return nil // its reply is that to the message
	}
	c.pending++
	ahead := 0
	if s.ext.pipelining {
		ahead = chunksAhead
	}
	return c.read(ahead)
}

// read reads replies until no more than ahead are left.
func (c *chunker) read(ahead int) error {
	for c.pending > ahead {
		r, err := c.session.reply(c.session.agent.config.DataXferTimeout, "BDAT")
		if err != nil {
			return err
		}
		c.pending--
		if !r.OK() && c.refused == nil {
			c.refused = r
		}
	}
	return nil
}

// chunks writes the message by BDAT. refused is a reply that says no before the last
// chunk was sent; without one and an error the reply to the last chunk is due.
func (t *transaction) chunks() (refused *reply, err error) {
	s := t.session
	c := &chunker{session: s, buf: make([]byte, 0, min(chunkSize, t.delivery.form.size+512))}
	gather := wire.NewWriter(c, s.agent.pool)
	w := wire.NewRelayChunkWriter(gather)
	s.contents(true)
	defer s.contents(false)
	for p, err := range folded(t.delivery.form.pieces, s.agent.config.LineLimit) {
		if err != nil {
			return nil, &localError{unreadable(err)}
		}
		if _, err := w.Write(p); err != nil {
			return nil, err
		}
		if c.refused != nil {
			break
		}
	}
	if c.refused == nil {
		if err = w.Close(); err == nil {
			err = gather.Flush()
		}
	}
	gather.Reset(c)
	if err == nil {
		err = c.read(0)
	}
	if err != nil || c.refused != nil {
		return c.refused, err
	}
	if s.early() {
		return nil, errEarly
	}
	return nil, c.send(true)
}

// sendChunks is send by BDAT.
func (t *transaction) sendChunks() error {
	d, s := t.delivery, t.session
	s.dirty = true
	refused, err := t.chunks()
	switch {
	case err != nil:
		return t.notSent(err, "BDAT")
	case refused != nil:
		// The transaction is undefined from here on (RFC 3030 section 2): RSET follows.
		d.refuse(s, t.accepted, failure(refused, s.target.host, "BDAT"))
		t.giveUpCrowded()
		return nil
	}
	return t.takeEnd()
}
