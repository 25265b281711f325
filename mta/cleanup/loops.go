package cleanup

import (
	"bytes"
	"context"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
	"toastmaster/internal/trace"
)

// hops counts the Received fields, and refuses a message that goes in circles.
type hops struct {
	quiet
	count int
}

func (h *hops) line(m *message, l *header.Line) {
	if l.Kind == header.Field && m.plain() && bytes.EqualFold(l.Name, []byte("Received")) {
		h.count++
	}
}

func (h *hops) end(_ context.Context, m *message) error {
	m.s.Envelope.Hops = h.count
	if h.count >= m.c.o.Params.HopCountLimit {
		return dsn.New(dsn.LoopDetected, "Too many hops")
	}
	return nil
}

// loops refuses the recipients to whom the message was delivered before. The
// others get it, as from Postfix, whose delivery agents look. When no recipient is
// left the message is refused.
type loops struct {
	quiet
	delivered trace.Delivered
}

func (d *loops) line(m *message, l *header.Line) {
	if l.Kind == header.Field && m.plain() && bytes.EqualFold(l.Name, []byte("Delivered-To")) {
		d.delivered.Add(string(l.Value))
	}
}

func (d *loops) end(_ context.Context, m *message) error {
	env := m.s.Envelope
	for i := range env.Recipients {
		if r := &env.Recipients[i]; !r.Expanded && d.delivered.To(r.Address) {
			r.Refused = dsn.Newf(dsn.LoopDetected, "Mail forwarding loop for %s", r.Address)
		}
	}
	return refuseAll(env)
}

// refuseAll is the answer when no recipient is left that can be delivered:
// then the client should hear it instead of a report. A null sender can hear
// neither; qmgr drops its mail with a line in the log.
func refuseAll(env *envelope.Envelope) error {
	if env.Sender.IsNull() || len(env.Recipients) == 0 {
		return nil
	}
	for i := range env.Recipients {
		if r := &env.Recipients[i]; r.Refused == nil && !r.Expanded {
			return nil
		}
	}
	return env.Recipients[0].Refused
}
