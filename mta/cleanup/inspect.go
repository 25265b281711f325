package cleanup

import (
	"context"
	"io"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/contentcheck"
	"toastmaster/mta/policy"
)

// inspection is the way of a message through the tables of header_checks and its like. It comes
// before all stages: what it changes they see, and nobody sees what it removed.
type inspection struct {
	m      *message
	checks *Checks
	orders policy.Orders
	// over says that nothing further is looked up.
	over bool
}

// inspect looks the message up, first what smtpd puts on top of it. The content of m is the changed
// one on success.
func (m *message) inspect(ctx context.Context) error {
	i := inspection{m: m, checks: &m.c.o.Checks, orders: policy.OrdersOf(m.s.Envelope)}
	top, err := i.edit(envelope.Memory(m.top), func(e *editor) error {
		_, err := i.walk(e, &i.checks.header).Fields(ctx, 0, int64(len(m.top)), contentcheck.Header)
		return err
	})
	if err != nil {
		return err
	}
	if top != nil {
		m.top, err = io.ReadAll(envelope.Reader(top))
		if err = closeWith(top, err); err != nil {
			return err
		}
	}
	changed, err := i.edit(m.s.Content, func(e *editor) error {
		if i.over {
			return nil
		}
		return i.walk(e, &i.checks.header).Message(ctx)
	})
	if err != nil {
		return err
	}
	if changed != nil {
		if err := m.exchange(changed); err != nil {
			return err
		}
	}
	i.orders.Give(m.s.Envelope)
	return nil
}

// exchange puts another content into the place of the message's.
func (m *message) exchange(c envelope.Content) error {
	old := m.s.Content
	m.s.Content, m.content = c, c
	if err := old.Close(); err != nil {
		return dsn.From(err)
	}
	return nil
}

// edit lets look change a content. What it returns is the changed one, nil for the same.
func (i *inspection) edit(c envelope.Content, look func(e *editor) error) (envelope.Content, error) {
	e := editor{of: c, dir: i.m.c.o.Queue.Spool()}
	err := look(&e)
	if err == nil {
		out, failed := e.changed()
		if failed == nil && out != nil {
			return out, nil
		}
		err = failed
	}
	if err = e.drop(err); err != nil {
		return nil, dsn.From(err)
	}
	return nil, nil
}

func closeWith(c envelope.Content, err error) error {
	if failed := c.Close(); err == nil {
		err = failed
	}
	if err != nil {
		return dsn.Wrap(dsn.MailSystem, "Temporary failure while checking the content", err)
	}
	return nil
}

// walk is the way over what is edited, where top has the fields of the message itself.
func (i *inspection) walk(e *editor, top *check) *contentcheck.Walk {
	p := &i.m.c.o.Params
	by := [contentcheck.Classes]*check{top, &i.checks.mime, &i.checks.nested, &i.checks.body}
	return &contentcheck.Walk{
		Content: e.of, Limits: contentcheck.Limits{Field: p.HeaderSizeLimit, Line: p.LineLengthLimit, Body: p.BodyChecksLimit}, Bodies: len(i.checks.body.maps) > 0,
		Look: func(ctx context.Context, class contentcheck.Class, f contentcheck.Found) (bool, error) {
			err := i.look(ctx, by[class], e, f)
			return i.over, err
		},
	}
}

func withoutEnd(text []byte) []byte {
	if n := len(text); n > 0 && text[n-1] == '\n' {
		return text[:n-1]
	}
	return text
}
