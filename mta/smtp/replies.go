package smtp

import (
	"fmt"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/dsn"
	"toastmaster/internal/printable"
)

// filtered is a line of a reply as smtp.reply_filter has it.
func (s *session) filtered(line []byte) ([]byte, *dsn.Error) {
	if len(s.agent.replies) == 0 {
		return line, nil
	}
	text, err := s.agent.replies.Lookup(s.ctx, strings.TrimSpace(printable.UTF8(string(line))))
	switch directory.OutcomeOf(err) {
	case directory.Found:
		return []byte(text), nil
	case directory.NotFound:
		return line, nil
	}
	s.broken = true
	return nil, dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the answer of "+s.target.host, err)
}

// discards are the extensions that are not used with this peer.
func (s *session) discards() ([]string, *dsn.Error) {
	a := s.agent
	if len(a.discards) == 0 || s.target.socket != "" {
		return a.config.DiscardKeywords, nil
	}
	text, err := a.discards.Lookup(s.ctx, s.target.addr.Addr().String())
	switch directory.OutcomeOf(err) {
	case directory.Found:
	case directory.NotFound:
		return a.config.DiscardKeywords, nil
	default:
		s.broken = true
		return nil, dsn.Wrap(dsn.MailSystem, "Temporary failure in the mail system", err)
	}
	words := strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })
	for _, w := range words {
		if err := configs.CheckExtension(w); err != nil && !strings.EqualFold(w, "silent-discard") {
			s.broken = true
			return nil, dsn.Wrap(dsn.Misconfigured, "Server configuration error", fmt.Errorf("smtp.discard_ehlo_keyword_address_maps: key %s: %w", s.target.addr.Addr(), err))
		}
	}
	return words, nil
}
