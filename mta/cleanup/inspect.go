package cleanup

import (
	"context"
	"io"
	"slices"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
	"toastmaster/internal/mime"
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
	// resets are where a part ends: a closing boundary behind it counts anew.
	resets []int64
	line   []byte // memory of a line
}

// inspect looks the message up, first what smtpd puts on top of it. The content of m is the changed
// one on success.
func (m *message) inspect(ctx context.Context) error {
	i := inspection{m: m, checks: &m.c.o.Checks, orders: policy.OrdersOf(m.s.Envelope)}
	top, err := i.edit(envelope.Memory(m.top), func(e *editor) error {
		_, err := i.header(ctx, e, 0, int64(len(m.top)), &i.checks.header)
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
	changed, err := i.edit(m.s.Content, func(e *editor) error { return i.parts(ctx, e) })
	if err != nil {
		return err
	}
	if changed != nil {
		old := m.s.Content
		m.s.Content, m.content = changed, changed
		if err := old.Close(); err != nil {
			return dsn.From(err)
		}
	}
	i.orders.Give(m.s.Envelope)
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

// parts looks up the header of each part, and as body what stands between them.
func (i *inspection) parts(ctx context.Context, e *editor) error {
	message, err := mime.Limits{MaxFields: -1}.Scan(envelope.Reader(e.of))
	if err != nil {
		return dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)
	}
	parts := message.Parts
	for _, p := range parts[1:] {
		i.resets = append(i.resets, p.End)
	}
	slices.Sort(i.resets)
	at := int64(0)
	for n, p := range parts {
		if err := i.body(ctx, e, at, p.Start); err != nil {
			return err
		}
		class := &i.checks.header
		switch {
		case n == 0:
		case parts[p.Parent].Kind == mime.Rfc822:
			class = &i.checks.nested
		default:
			class = &i.checks.mime
		}
		if at, err = i.header(ctx, e, p.Start, p.Body, class); err != nil {
			return err
		}
		if err := i.body(ctx, e, at, p.Body); err != nil {
			return err
		}
		at = p.Body
	}
	return i.body(ctx, e, at, e.of.Size())
}

// header looks up the fields in [from,to) until a line is none, and says where that is.
func (i *inspection) header(ctx context.Context, e *editor, from, to int64, class *check) (end int64, err error) {
	scanner := header.NewScanner(section{e.of, from, to})
	most := int(i.m.c.o.Params.HeaderSizeLimit)
	var l header.Line
	f := found{isField: true, end: "\n"}
	name := ""
	i.line = i.line[:0]
	for !i.over {
		if err := scanner.Next(&l); err != nil {
			return 0, dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)
		}
		if l.Kind == header.Folded || l.Kind == header.Rest {
			if l.Kind == header.Folded {
				i.line = append(i.line, '\n')
			}
			i.line = appendUpTo(i.line, withoutEnd(l.Text), most)
			f.to = from + l.To
			continue
		}
		c := class
		if mimeField(name) {
			c = &i.checks.mime
		}
		if f.text = string(i.line[:min(len(i.line), most)]); f.text != "" {
			if err := i.look(ctx, c, e, f); err != nil {
				return 0, err
			}
		}
		if l.Kind != header.Field {
			return from + l.From, nil
		}
		// Space before the colon is not looked at, as in Postfix.
		_, rest, _ := header.Cut(l.Text)
		name = string(l.Name)
		i.line = append(append(i.line[:0], l.Name...), ':')
		i.line = appendUpTo(i.line, withoutEnd(rest), most)
		f.from, f.to = from+l.From, from+l.To
	}
	return to, nil
}

// appendUpTo appends as much of text as fits into most octets.
func appendUpTo(line, text []byte, most int) []byte {
	return append(line, text[:min(len(text), max(most-len(line), 0))]...)
}

func withoutEnd(text []byte) []byte {
	if n := len(text); n > 0 && text[n-1] == '\n' {
		return text[:n-1]
	}
	return text
}
