package cleanup

import (
	"context"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
	"toastmaster/internal/trace"
)

// begun gives the message its ID, unless its client has asked for one, and makes what stands on top of it: the fields that a
// restriction wants, and Received below them, as in Postfix.
func (m *message) begun() {
	env := m.s.Envelope
	if env.Arrived = m.c.o.Clock.Now(); env.ID == "" {
		env.ID = m.c.o.Queue.NewID()
	}
	if f, ok := envelope.ParseRoute(m.c.o.Params.ContentFilter); ok && m.s.Incoming && env.Filter == nil && env.Redirect.IsNull() && bySender(env.Origin.Protocol) {
		env.Filter = &f
	}
	for _, text := range env.Prepend {
		m.top = append(append(m.top, text...), '\n')
	}
	m.top = append(m.top, m.c.received(env, m.asked)...)
}

// stamp puts it there.
type stamp struct{ quiet }

func (stamp) end(_ context.Context, m *message) error {
	m.prefix = append(m.prefix, m.top...)
	return nil
}

// received makes the Received field. given are the recipients as the client
// gave them: more than one is named to nobody.
func (c *Cleanup) received(env *envelope.Envelope, given []envelope.Recipient) []byte {
	r := trace.Received{Origin: &env.Origin, By: c.o.Hostname, ID: string(env.ID), UTF8: env.UTF8, At: env.Arrived}
	if len(given) == 1 {
		if r.For = given[0].Original; r.For.IsNull() {
			r.For = given[0].Address
		}
	}
	return r.Append(make([]byte, 0, 512))
}

// complete adds what mail from our own users lacks (RFC 6409 section 8).
type complete struct{ quiet }

func (complete) end(_ context.Context, m *message) error {
	if m.s.Complete {
		m.complete(m.c, m.s.Envelope)
	}
	return nil
}

func (m *message) complete(c *Cleanup, env *envelope.Envelope) {
	if !m.hasMessageID {
		m.messageID = "<" + env.Arrived.UTC().Format("20060102150405") + "." + string(env.ID) + "@" + c.domain + ">"
		m.prefix = append(m.prefix, "Message-ID: "+m.messageID+"\n"...)
	}
	if !m.hasDate {
		m.prefix = append(m.prefix, "Date: "...)
		m.prefix = env.Arrived.AppendFormat(m.prefix, trace.DateFormat)
		m.prefix = append(m.prefix, '\n')
	}
	if !m.hasFrom {
		from := env.Sender
		if login, err := addr.Parse(env.Origin.Login); from.IsNull() && err == nil {
			from = login
		}
		if from.IsNull() {
			from = addr.Address{Local: "MAILER-DAEMON", Domain: c.o.Hostname}
		}
		m.prefix = append(m.prefix, "From: "+from.String()+"\n"...)
	}
}
