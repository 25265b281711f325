package cleanup

import (
	"bytes"

	"toastmaster/internal/header"
	"toastmaster/internal/printable"
)

// facts notes which fields there are.
type facts struct{ quiet }

func (facts) line(m *message, l *header.Line) {
	if l.Kind != header.Field || !m.plain() {
		return
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

// maxMessageID bounds the Message-ID in the log, in octets. It is no parameter: it
// is for people and programs that read the log, and identifies nothing here.
const maxMessageID = 250

// forTheLog is a header value fit for the log.
func forTheLog(value []byte) string {
	return printable.UTF8(string(value[:min(len(value), maxMessageID)]))
}
