package cleanup

import (
	"context"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// characters refuses a content with one of cleanup.message_reject_characters, and takes those of
// message_strip_characters out of it. It comes before everything else, so that no table sees them.
func (m *message) characters(ctx context.Context) error {
	p := &m.c.o.Params
	if p.RejectCharacters == "" && p.StripCharacters == "" || !m.s.Incoming {
		return nil
	}
	reject, err := setOf(p.RejectCharacters)
	if err != nil {
		return err
	}
	strip, err := setOf(p.StripCharacters)
	if err != nil {
		return err
	}
	i := inspection{m: m}
	changed, err := i.edit(m.s.Content, func(e *editor) error {
		at := int64(0)
		for piece, err := range envelope.Pieces(e.of, 0, e.of.Size(), envelope.Block(e.of, readAhead)) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)
			}
			if hasAny(piece, reject) {
				return dsn.New(dsn.Policy, "disallowed characters").WithCode(550)
			}
			if err := stripped(e, at, piece, strip); err != nil {
				return err
			}
			at += int64(len(piece))
		}
		return nil
	})
	if err != nil || changed == nil {
		return err
	}
	return m.exchange(changed)
}

// readAhead is how much of a content in a file is read at once, in octets.
const readAhead = 64 << 10

// set has the characters that are meant; nil means none.
type set *[256]bool

func setOf(escaped string) (set, error) {
	octets, err := configs.ParseOctets(escaped)
	if err != nil {
		return nil, dsn.Wrap(dsn.Misconfigured, "Server configuration error", err)
	}
	if len(octets) == 0 {
		return nil, nil
	}
	var s [256]bool
	for _, c := range octets {
		s[c] = true
	}
	return &s, nil
}

func hasAny(piece []byte, s set) bool {
	if s == nil {
		return false
	}
	for _, c := range piece {
		if s[c] {
			return true
		}
	}
	return false
}

// stripped takes characters out of a piece that begins at an offset. Runs of them are one change.
func stripped(e *editor, at int64, piece []byte, s set) error {
	if s == nil {
		return nil
	}
	for i := 0; i < len(piece); i++ {
		if !s[piece[i]] {
			continue
		}
		from := i
		for i++; i < len(piece) && s[piece[i]]; i++ {
		}
		if err := e.change(at+int64(from), at+int64(i), ""); err != nil {
			return err
		}
	}
	return nil
}
