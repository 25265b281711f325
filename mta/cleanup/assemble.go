package cleanup

import (
	"context"
	"io"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/spool"
)

// assemble decides what of the message goes into the prefix and what stays
// where it lies. On success the content of m replaces the submission's.
type assemble struct{ quiet }

func (assemble) end(_ context.Context, m *message) error {
	if m.headless {
		m.prefix = append(m.prefix, '\n')
		return nil
	}
	if len(m.removed) == 0 {
		return nil
	}
	whole, ok := m.s.Content.Bytes()
	if !ok {
		return m.copyWithout()
	}
	// The kept fields before the last removed one move into the prefix; the
	// rest is the content, from there on.
	at := int64(0)
	for _, d := range m.removed {
		m.prefix = append(m.prefix, whole[at:d.from]...)
		m.prefix = append(m.prefix, d.text...)
		at = d.to
	}
	m.content = envelope.Tail(m.s.Content, at)
	return nil
}

// copyWithout copies a message that lies in a file, without the removed
// fields, into a new file: the queue wants to link a whole one.
func (m *message) copyWithout() error {
	out := m.c.o.Queue.Spool().New()
	at := int64(0)
	for _, d := range append(m.removed, edit{span: span{from: m.s.Content.Size()}}) {
		if _, err := io.Copy(out, io.NewSectionReader(m.s.Content, at, d.from-at)); err != nil {
			return closeBoth(out, err)
		}
		if _, err := out.Write(d.text); err != nil {
			return closeBoth(out, err)
		}
		at = d.to
	}
	if err := m.s.Content.Close(); err != nil {
		return closeBoth(out, err)
	}
	m.s.Content, m.content = out, out
	return nil
}

func closeBoth(out *spool.Buffer, err error) error {
	failure := dsn.From(err)
	if err := out.Close(); err != nil {
		return dsn.Wrap(failure.Status, failure.Text, err)
	}
	return failure
}
