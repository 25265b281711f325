package cleanup

import (
	"bytes"
	"strings"

	"toastmaster/internal/header"
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
			m.messageID = printable(l.Value)
		}
	}
}

// maxMessageID bounds the Message-ID in the log, in octets. It is no parameter: it
// is for people and programs that read the log, and identifies nothing here.
const maxMessageID = 250

// printable is a header value fit for the log.
func printable(value []byte) string {
	value = value[:min(len(value), maxMessageID)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, string(value))
}
