package cleanup

import (
	"bytes"
	"context"

	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
	"toastmaster/internal/printable"
)

// facts notes which fields there are.
type facts struct{ quiet }

func (facts) line(m *message, l *header.Line) {
	if l.Kind == header.Field && m.plain() {
		note(m, l)
	}
}

func note(m *message, l *header.Line) {
	if m.s.Complete && len(l.Name) > len("Resent-") && (l.Name[0] == 'R' || l.Name[0] == 'r') {
		m.onward.note(l.Name)
	}
	switch len(l.Name) {
	case len("Date"):
		m.hasDate = m.hasDate || bytes.EqualFold(l.Name, []byte("Date"))
		m.hasFrom = m.hasFrom || bytes.EqualFold(l.Name, []byte("From"))
	case len("Message-ID"):
		if bytes.EqualFold(l.Name, []byte("Message-ID")) {
			m.hasMessageID = true
			m.messageID = forTheLog(l.Value)
		}
	}
}

// end notes those that a restriction puts on top.
func (facts) end(_ context.Context, m *message) error {
	scanner := header.NewScanner(envelope.Memory(m.top))
	var l header.Line
	for {
		if err := scanner.Next(&l); err != nil || l.Kind == header.End {
			return err
		}
		if l.Kind == header.Field {
			note(m, &l)
		}
	}
}

// maxMessageID bounds the Message-ID in the log, in octets. It is no parameter: it
// is for people and programs that read the log, and identifies nothing here.
const maxMessageID = 250

// forTheLog is a header value fit for the log.
func forTheLog(value []byte) string {
	return printable.UTF8(string(value[:min(len(value), maxMessageID)]))
}
