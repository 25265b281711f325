package cleanup

import (
	"context"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
	"toastmaster/internal/trace"
)

// stamp gives the message its ID and puts the Received field on top.
type stamp struct{ quiet }

func (stamp) end(_ context.Context, m *message) error {
	env := m.s.Envelope
	env.ID, env.Arrived = m.c.o.Queue.NewID(), m.c.o.Clock.Now()
	for _, text := range env.Prepend { // above our own Received, as in Postfix
		m.prefix = append(append(m.prefix, text...), '\n')
	}
	m.prefix = append(m.prefix, m.c.received(env, m.asked)...)
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
