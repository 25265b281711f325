package cleanup

import (
	"bytes"
	"strings"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/trace"
)

// header is what cleanup wants to know of a message's header.
type header struct {
	received     int
	deliveredTo  trace.Delivered
	hasDate      bool
	hasFrom      bool
	hasMessageID bool
	messageID    string // for the log, without what is not printable
	// headless: the first line is none of a header and not empty.
	headless bool
	// dropped are the fields to be removed, in order.
	dropped []span
}

// span is a part of the content.
type span struct{ from, to int64 }

// readHeader scans the header in one pass with bounded memory. outside: claims
// in our name are removed.
func (c *Cleanup) readHeader(content envelope.Content, outside bool) (*header, error) {
	h := &header{}
	claim := claim{c: c, h: h, wanted: outside}
	lines := newLines(content)
	dropping, broken := false, false
	for {
		line, at, err := lines.next()
		if err != nil {
			return nil, err
		}
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') && at > 0 {
			claim.extend(line, lines.offset())
			if dropping {
				h.dropped[len(h.dropped)-1].to = lines.offset()
			}
			continue
		}
		claim.end()
		name, value, ok := trace.Field(line)
		switch {
		case len(line) == 0 || line[0] == '\n':
			return h, nil
		case !ok && at == 0:
			h.headless = true
			return h, nil
		case !ok:
			// Where the header ends is a matter of taste now: a claim is found
			// behind this line, too, and nothing else.
			dropping, broken = false, true
			continue
		}
		if claim.begin(name, value, at, lines.offset()) {
			dropping = false
			continue
		}
		if broken {
			continue
		}
		if dropping = c.drops(name); dropping {
			h.dropped = append(h.dropped, span{at, lines.offset()})
			continue
		}
		h.see(name, value)
	}
}

// drops says whether the field is one to be removed.
func (c *Cleanup) drops(name []byte) bool {
	var lower [40]byte
	if len(name) > len(lower) {
		return false
	}
	for i, b := range name {
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		lower[i] = b
	}
	return c.drop[string(lower[:len(name)])]
}

// see notes a field.
func (h *header) see(name, value []byte) {
	switch len(name) {
	case len("Date"):
		h.hasDate = h.hasDate || bytes.EqualFold(name, []byte("Date"))
		h.hasFrom = h.hasFrom || bytes.EqualFold(name, []byte("From"))
	case len("Received"):
		if bytes.EqualFold(name, []byte("Received")) {
			h.received++
		}
	case len("Message-ID"):
		if bytes.EqualFold(name, []byte("Message-ID")) {
			h.hasMessageID = true
			h.messageID = printable(value)
		}
	case len("Delivered-To"):
		if bytes.EqualFold(name, []byte("Delivered-To")) {
			h.deliveredTo.Add(string(value))
		}
	}
}

// refuseLoops refuses the recipients to whom the message was delivered before.
// The others get it, as from Postfix, whose delivery agents look.
func (h *header) refuseLoops(recipients []envelope.Recipient) {
	for i := range recipients {
		if r := &recipients[i]; !r.Expanded && h.deliveredTo.To(r.Address) {
			r.Refused = dsn.Newf(dsn.LoopDetected, "Mail forwarding loop for %s", r.Address)
		}
	}
}

// maxMessageID bounds the Message-ID in the log, in octets.
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
