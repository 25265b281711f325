package smtpd

import (
	"fmt"

	"toastmaster/internal/anvil"
	"toastmaster/internal/dsn"
)

// counted is the user of a session as anvil counts it; nobody without a log-in.
func (s *session) counted() anvil.Key {
	if !s.authenticated() {
		return anvil.Key{}
	}
	return anvil.Name(s.known.User.Address.Key())
}

// underLimits says whether the user may send one more message now, with so many
// recipients. It counts nothing: that is done when the message is there.
func (s *session) underLimits(recipients int) *dsn.Error {
	p, who := s.d.o.Params, s.counted()
	if s.d.o.Counter == nil || who.IsZero() {
		return nil
	}
	if most := p.UserMessageLimit; most > 0 && s.d.o.Counter.Rate(anvil.UserMessage, who) >= most {
		return s.tooMany(most, "messages")
	}
	if most := p.UserRecipientLimit; most > 0 && s.d.o.Counter.Rate(anvil.UserRecipient, who)+recipients > most {
		return s.tooMany(most, "recipients")
	}
	return nil
}

// takeLimits counts a message, or refuses it: others may have been sent since
// MAIL. giveBack undoes it for a message that is not taken.
func (s *session) takeLimits() (giveBack func(), err error) {
	p, who, c := s.d.o.Params, s.counted(), s.d.o.Counter
	if c == nil || who.IsZero() {
		return func() {}, nil
	}
	n := len(s.env.Recipients)
	if !c.Take(anvil.UserMessage, who, 1, p.UserMessageLimit) {
		return nil, s.tooMany(p.UserMessageLimit, "messages")
	}
	if !c.Take(anvil.UserRecipient, who, n, p.UserRecipientLimit) {
		c.Remove(anvil.UserMessage, who, 1)
		return nil, s.tooMany(p.UserRecipientLimit, "recipients")
	}
	return func() {
		c.Remove(anvil.UserMessage, who, 1)
		c.Remove(anvil.UserRecipient, who, n)
	}, nil
}

func (s *session) tooMany(most int, what string) *dsn.Error {
	return tooMuch(fmt.Sprintf("%s: The limit of %d %s an hour is reached, try again later", s.known.User.Address.Path(), most, what))
}
