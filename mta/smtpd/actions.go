package smtpd

import (
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
	"toastmaster/mta/policy"
)

// errAction is the reply where a restriction wants what nobody here does, or does not
// say to whom: silence would be worse.
var errAction = dsn.New(dsn.Misconfigured, "Server configuration error")

// logAction logs what a restriction wants done, and refuses what cannot be.
func (s *session) logAction(d policy.Decision) *dsn.Error {
	log := s.d.o.Log
	keys := []any{"service", "smtpd", "session", s.c.ID(), "action", d.Action.String(), "argument", d.Arg}
	ok := true
	switch d.Action {
	case policy.Warn:
		log.Warn("restriction", keys...)
		return nil
	case policy.DeferIfPermit: // the reply, if it comes to that, has a line
		return nil
	case policy.Hold, policy.Discard, policy.Info:
	case policy.Filter:
		_, ok = envelope.ParseRoute(d.Arg)
	case policy.Redirect, policy.BCC:
		_, ok = s.address(d.Arg)
	case policy.Prepend:
		ok = isField(d.Arg)
	default:
		ok = false
	}
	if !ok {
		log.Error("action of a restriction that smtpd cannot carry out", keys...)
		return errAction
	}
	log.Info("restriction", keys...)
	return nil
}

// address is the argument of an action.
func (s *session) address(text string) (addr.Address, bool) {
	a, err := addr.Parse(text)
	return s.d.qualify(a), err == nil && !a.IsNull()
}

// maxField is how long the line of a field may be, in octets (RFC 5322 section 2.1.1).
const maxField = 998

// isField says that a text is a field of a header, in one line.
func isField(text string) bool {
	_, _, ok := header.Split([]byte(text))
	return ok && len(text) <= maxField && !strings.ContainsFunc(text, func(c rune) bool {
		return c < ' ' && c != '\t' || c == 0x7f
	})
}

// act does to the message what was noted. The last word counts; a redirection takes the
// place of a filter, and nothing that of a discard, as in Postfix access(5).
func (s *session) act(env *envelope.Envelope) {
	discard := false
	for _, d := range s.known.Noted {
		switch d.Action {
		case policy.Hold:
			env.Hold = true
		case policy.Discard:
			discard = true
		case policy.Filter:
			if route, ok := envelope.ParseRoute(d.Arg); ok {
				env.Filter = &route
			}
		case policy.Prepend:
			env.Prepend = append(env.Prepend, d.Arg)
		case policy.Redirect:
			env.Redirect, _ = s.address(d.Arg)
		case policy.BCC:
			if a, ok := s.address(d.Arg); ok {
				env.BCC = append(env.BCC, a)
			}
		}
	}
	switch {
	case discard:
		env.Filter, env.Redirect, env.BCC = &envelope.Route{Transport: "discard"}, addr.Address{}, nil
	case !env.Redirect.IsNull():
		env.Filter, env.BCC = nil, nil
	}
}
