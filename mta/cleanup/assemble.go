package cleanup

import (
	"io"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/spool"
)

// assemble decides what of the message goes into the prefix and what stays
// where it lies. On success the content of p replaces the submission's.
func (c *Cleanup) assemble(p *prepared, s *envelope.Submission, h *header) error {
	p.content = s.Content
	if h.headless {
		p.prefix = append(p.prefix, '\n')
		return nil
	}
	if len(h.dropped) == 0 {
		return nil
	}
	whole, ok := s.Content.Bytes()
	if !ok {
		return c.copyWithout(p, s, h.dropped)
	}
	// The kept fields before the last dropped one move into the prefix; the
	// rest is the content, from there on.
	at := int64(0)
	for _, d := range h.dropped {
		p.prefix = append(p.prefix, whole[at:d.from]...)
		at = d.to
	}
	p.content = &tail{Content: s.Content, from: at}
	return nil
}

// copyWithout copies a message that lies in a file, without the dropped
// fields, into a new file: the queue wants to link a whole one.
func (c *Cleanup) copyWithout(p *prepared, s *envelope.Submission, dropped []span) error {
	out := c.o.Queue.Spool().New()
	at := int64(0)
	for _, d := range append(dropped, span{from: s.Content.Size()}) {
		if _, err := io.Copy(out, io.NewSectionReader(s.Content, at, d.from-at)); err != nil {
			return closeBoth(out, err)
		}
		at = d.to
	}
	if err := s.Content.Close(); err != nil {
		return closeBoth(out, err)
	}
	s.Content, p.content = out, out
	return nil
}

func closeBoth(out *spool.Buffer, err error) error {
	failure := dsn.From(err)
	if err := out.Close(); err != nil {
		return dsn.Wrap(failure.Status, failure.Text, err)
	}
	return failure
}

// tail is a content without its first octets. It owns the whole.
type tail struct {
	envelope.Content
	from int64
}

func (t *tail) Size() int64 { return t.Content.Size() - t.from }

func (t *tail) ReadAt(p []byte, off int64) (int, error) { return t.Content.ReadAt(p, off+t.from) }

func (t *tail) Bytes() ([]byte, bool) {
	b, ok := t.Content.Bytes()
	if !ok {
		return nil, false
	}
	return b[t.from:], true
}
