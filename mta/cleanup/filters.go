package cleanup

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
	"toastmaster/mta/contentcheck"
	"toastmaster/mta/milter"
	"toastmaster/mta/policy"
)

// Filters are the mail filters that see what has no client. The zero Filters are none.
type Filters struct {
	// Milters knows them, and List names those of cleanup.non_smtpd_milters.
	Milters *milter.Filters
	List    milter.List
	// Route is where mail for an address goes: transport and nexthop, for macros.
	Route func(ctx context.Context, a addr.Address) (transport, nexthop string)
}

// filters shows the message to mail filters, and does what they want. Recipients are expanded behind it: filters see
// those that the client gave.
type filters struct{ quiet }

func (filters) end(ctx context.Context, m *message) error {
	f, done, err := m.filter(ctx)
	if f == nil || err != nil {
		return err
	}
	defer done()
	env := m.s.Envelope
	env.Recipients = m.given
	orders := policy.OrdersOf(env)
	d := envelope.Draft{Envelope: env, Prefix: m.prefix, Content: m.content, Own: m.ownReceived()}
	i := inspection{m: m, checks: &m.c.o.Checks, orders: orders}
	if len(i.checks.milter.maps) > 0 {
		d.Field = i.ofFilter
	}
	sender := env.Sender
	m.before = envelope.Envelope{Sender: sender, Recipients: m.given}
	err = f.Filter(ctx, &d)
	m.prefix, m.content, m.s.Content = d.Prefix, d.Content, d.Content
	if err == nil {
		err = m.mapNew(ctx, sender)
	}
	if err != nil {
		return err
	}
	if d.Field != nil {
		held := env.Hold
		i.orders.Give(env)
		env.Hold = env.Hold || held
	}
	if len(env.Recipients) == 0 {
		d.Discard, env.Recipients = true, slices.Clone(m.asked)
	}
	if m.given = env.Recipients; d.Discard {
		env.Filter, env.Redirect, env.BCC = &envelope.Route{Transport: "discard"}, addr.Address{}, nil
	}
	return nil
}

// mapNew maps the sender and the recipients that a filter has put in, as those that a client gives.
func (m *message) mapNew(ctx context.Context, sender addr.Address) (err error) {
	a, env := &m.c.o.Addresses, m.s.Envelope
	if m.s.Override.NoMappings {
		return nil
	}
	if env.Sender != sender {
		if env.Sender, err = a.address(ctx, configs.EnvelopeSender, env.Sender); err != nil {
			return m.notMapped(err)
		}
	}
	for i := range env.Recipients {
		r := &env.Recipients[i]
		if slices.ContainsFunc(m.given, func(was envelope.Recipient) bool { return was.Address == r.Address }) {
			continue
		}
		if r.Address, err = a.address(ctx, configs.EnvelopeRecipient, r.Address); err != nil {
			return m.notMapped(err)
		}
	}
	return nil
}

// ownReceived is our Received field, as it stands on top of the message; "" when a table has removed it.
func (m *message) ownReceived() string {
	scanner := header.NewScanner(envelope.Memory(m.top))
	var l header.Line
	at, own := int64(-1), ""
	for {
		err := scanner.Next(&l)
		if err == nil && l.Kind == header.Folded {
			continue
		}
		if at >= 0 {
			own = string(m.top[at:l.From])
		}
		if err != nil || l.Kind == header.End {
			return own
		}
		if at = -1; strings.EqualFold(string(l.Name), "Received") {
			at = l.From
		}
	}
}

// filter is who sees the message, nil for nobody. done is called behind it.
func (m *message) filter(ctx context.Context) (f envelope.Filter, done func(), err error) {
	if m.s.Filter != nil {
		return m.s.Filter, func() {}, nil
	}
	o := &m.c.o.Filters
	if len(o.List) == 0 || !m.c.filtered(m.s.Envelope.Origin.Source) {
		return nil, nil, nil
	}
	env := m.s.Envelope
	p := pretended{m: m, rcpt: -1}
	s := o.Milters.Session(o.List, string(env.ID), p.macro)
	v := p.tell(ctx, s)
	env.Hold = env.Hold || v.Hold
	if v.Err != nil {
		s.Close()
		return nil, nil, v.Err
	}
	return s, s.Close, nil
}

// filtered says whether mail from somewhere is seen by the filters of mail without a client.
func (c *Cleanup) filtered(from envelope.Source) bool {
	class := from.FilterClass()
	return from.Submitted() || class != "" && slices.Contains(c.o.Params.InternalFilter, class)
}

// pretended is the client of a message that has none: this host.
type pretended struct {
	m *message
	// mail says that there is a sender; rcpt is the present recipient, -1 without.
	mail bool
	rcpt int
}

// tell tells filters of the client and of the envelope.
func (p *pretended) tell(ctx context.Context, s *milter.Session) milter.Verdict {
	env := p.m.s.Envelope
	var all milter.Verdict
	step := func(v milter.Verdict) bool {
		all.Hold, all.Err = all.Hold || v.Hold, v.Err
		return v.Err == nil
	}
	if !step(s.Connect(ctx, "localhost", netip.AddrPort{})) || !step(s.Helo(ctx, "localhost")) {
		return all
	}
	if p.mail = true; !step(s.Mail(ctx, []string{env.Sender.String()})) {
		return all
	}
	for p.rcpt = range p.m.asked {
		if v := s.Rcpt(ctx, []string{p.m.asked[p.rcpt].Address.String()}, false); !step(v) {
			// There is nobody to hear that one recipient is refused.
			all.Err = dsn.Wrap(dsn.Misconfigured, "Server configuration error", v.Err)
			return all
		}
	}
	p.rcpt = -1
	step(s.Data(ctx))
	return all
}

// macro is what filters hear of it.
func (p *pretended) macro(ctx context.Context, name string) (string, bool) {
	env := p.m.s.Envelope
	route := func(a addr.Address, host bool) (string, bool) {
		if p.m.c.o.Filters.Route == nil {
			return "", false
		}
		transport, nexthop := p.m.c.o.Filters.Route(ctx, a)
		if host {
			return nexthop, true
		}
		return transport, true
	}
	switch {
	case name == "i":
		return string(env.ID), true
	case name == "_":
		return "localhost [127.0.0.1]", true
	case name == "client_addr" || name == "daemon_addr":
		return "127.0.0.1", true
	case name == "client_name" || name == "client_ptr":
		return "localhost", true
	case name == "client_port" || name == "client_connections" || name == "daemon_port":
		return "0", true
	case name == "client_resolve":
		return "OK", true
	case p.mail && name == "mail_addr":
		return env.Sender.String(), true
	case p.mail && strings.HasPrefix(name, "mail_"):
		return route(env.Sender, name == "mail_host")
	case p.rcpt >= 0 && name == "rcpt_addr":
		return p.m.asked[p.rcpt].Address.String(), true
	case p.rcpt >= 0 && strings.HasPrefix(name, "rcpt_"):
		return route(p.m.asked[p.rcpt].Address, name == "rcpt_host")
	case name == "auth_authen" && env.Origin.Login != "":
		return env.Origin.Login, true
	}
	return "", false
}

// ofFilter looks up a field that a filter adds or changes (milter.header_checks), and is what stands in its place.
func (i *inspection) ofFilter(ctx context.Context, text string) (string, error) {
	text += "\n"
	c, err := i.edit(envelope.Memory(text), func(e *editor) error {
		_, err := i.walk(e, &i.checks.milter).Fields(ctx, 0, int64(len(text)), contentcheck.Header)
		return err
	})
	if err != nil || c == nil {
		return text, err
	}
	whole := make([]byte, c.Size())
	if len(whole) > 0 {
		_, err = c.ReadAt(whole, 0)
	}
	return string(whole), closeWith(c, err)
}
