package cleanup

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
	"toastmaster/internal/mime"
)

// label finds out what kind of mail a message is that nobody has said it of: SMTPUTF8, where addresses or the header need
// it and the way in is one of cleanup.smtputf8_autodetect_classes, and 8BITMIME, where the header says so. Whether a
// host has to take such mail is decided by smtp, by content again: see mta/smtp/needs.go.
type label struct {
	quiet
	// wanted: SMTPUTF8 is to be found out. found: the header needs it.
	wanted, found bool
	eight         bool
}

// autodetects says whether SMTPUTF8 is found out of mail from somewhere.
func (c *Cleanup) autodetects(from envelope.Source) bool {
	list := c.o.Params.UTF8Classes
	return slices.Contains(list, "all") || slices.Contains(list, from.Class())
}

func (d *label) line(m *message, l *header.Line) {
	if !m.plain() {
		return
	}
	if d.wanted && !d.found && mime.Has8Bit(l.Text) {
		d.found = utf8.Valid(l.Text)
	}
	if l.Kind == header.Field && len(l.Name) == len("Content-Transfer-Encoding") && bytes.EqualFold(l.Name, []byte("Content-Transfer-Encoding")) {
		switch strings.ToLower(strings.TrimSpace(string(l.Value))) {
		case "8bit", "binary":
			d.eight = true
		}
	}
}

func (d *label) end(_ context.Context, m *message) error {
	env := m.s.Envelope
	if d.eight && m.c.o.Params.DetectEightBit {
		env.Body = envelope.Body8BitMIME
	}
	if d.wanted {
		env.UTF8 = d.found || !env.Sender.IsASCII() || slices.ContainsFunc(env.Recipients, func(r envelope.Recipient) bool { return !r.Address.IsASCII() })
	}
	return nil
}
