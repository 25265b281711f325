package cleanup

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"toastmaster/configs"
	"toastmaster/internal/addrfield"
	"toastmaster/internal/dsn"
	"toastmaster/internal/header"
	"toastmaster/mta/addrmap"
)

// rewriting rewrites the addresses of the envelope, and those in the header of a client whose
// headers are rewritten. A field in which no address changes stays as it is, octet by octet.
type rewriting struct {
	in     addrmap.Kind
	fields []addressField
}

type addressField struct {
	kind addrmap.Kind
	at   span
}

func (r *rewriting) line(m *message, l *header.Line) {
	if l.Kind == header.Field && m.plain() && m.c.o.Addresses.form(m.s.Rewrite) != nil {
		r.in = addrmap.KindOf(string(l.Name))
	}
}

func (r *rewriting) over(m *message) {
	if r.in != addrmap.Other && !m.removing {
		r.fields = append(r.fields, addressField{r.in, m.field})
	}
	r.in = addrmap.Other
}

func (r *rewriting) end(ctx context.Context, m *message) error {
	if err := m.envelope(ctx); err != nil {
		return m.notMapped(err)
	}
	form := m.c.o.Addresses.form(m.s.Rewrite)
	left := m.c.o.Addresses.tokens
	for _, f := range r.fields {
		if ctx.Err() != nil {
			return dsn.Wrap(dsn.MailSystem, "Temporary failure while rewriting addresses", ctx.Err())
		}
		if err := m.rewriteField(ctx, f, form, &left); err != nil {
			return m.notMapped(err)
		}
	}
	slices.SortFunc(m.removed, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	return nil
}

// notMapped logs why an address could not be.
func (m *message) notMapped(err error) error {
	env := m.s.Envelope
	m.c.o.Log.Error("address not rewritten", "service", "cleanup", "id", string(env.ID), "session", env.Origin.Session, "cause", err)
	return err
}

// envelope rewrites sender and recipients.
func (m *message) envelope(ctx context.Context) (err error) {
	a, env := &m.c.o.Addresses, m.s.Envelope
	if len(a.steps) == 0 && len(a.masquerade.domains) == 0 || m.s.Override.NoMappings {
		return nil
	}
	if env.Sender, err = a.address(ctx, configs.EnvelopeSender, env.Sender); err != nil {
		return err
	}
	m.given = slices.Clone(m.given)
	for i := range m.given {
		if m.given[i].Address, err = a.address(ctx, configs.EnvelopeRecipient, m.given[i].Address); err != nil {
			return err
		}
	}
	return nil
}

// rewriteField rewrites the addresses of a field.
func (m *message) rewriteField(ctx context.Context, f addressField, form *addrfield.Form, left *int) error {
	a := &m.c.o.Addresses
	size := f.at.to - f.at.from
	if size > a.headerSize || *left <= 0 {
		m.tooLong(f)
		return nil
	}
	text := make([]byte, size)
	if _, err := m.content.ReadAt(text, f.at.from); err != nil && err != io.EOF {
		return dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)
	}
	name, value, ok := header.Cut(text)
	if !ok {
		return nil
	}
	list, ok := addrfield.Parse(string(withoutEnd(value)), *left)
	if !ok {
		m.tooLong(f)
		return nil
	}
	*left -= list.Tokens()
	class := configs.HeaderSender
	if f.kind == addrmap.Recipient {
		class = configs.HeaderRecipient
	}
	var failed error
	changed := list.Rewrite(func(address string) string {
		if m.s.Override.NoMappings {
			return form.Standard(address)
		}
		is, err := a.mapped(ctx, class, form.Standard(address))
		if err != nil {
			failed = errors.Join(failed, err)
			return address
		}
		return is
	})
	if failed == nil && changed {
		m.removed = append(m.removed, edit{f.at, list.Field(string(name))})
	}
	return failed
}

// tooLong says that a field stays as it is.
func (m *message) tooLong(f addressField) {
	env := m.s.Envelope
	m.c.o.Log.Warn("addresses of a header field are too many to be rewritten", "service", "cleanup", "id", string(env.ID), "session", env.Origin.Session, "octets", f.at.to-f.at.from)
}

// completed is the text of an author field as its readers will have it.
func (m *message) completed(value string) string {
	form := m.c.o.Addresses.form(m.s.Rewrite)
	if form == nil || int64(len(value)) > m.c.o.Addresses.headerSize {
		return value
	}
	list, ok := addrfield.Parse(value, m.c.o.Addresses.tokens)
	if !ok || !list.Rewrite(form.Standard) {
		return value
	}
	return list.Text()
}
