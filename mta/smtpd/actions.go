package smtpd

import (
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/policy"
)

// errAction is the reply where a restriction wants what nobody here does, or does not
// say to whom: silence would be worse.
var errAction = dsn.New(dsn.Misconfigured, "Server configuration error")

// logAction logs what a restriction wants done, and refuses what cannot be.
func (s *session) logAction(d policy.Decision) *dsn.Error {
	log := s.d.o.Log
	keys := []any{"service", s.d.o.LogService, "session", s.c.ID(), "action", d.Action.String(), "argument", d.Arg}
	ok := true
	switch d.Action {
	case policy.Warn:
		log.Warn("restriction", keys...)
		return nil
	case policy.DeferIfPermit: // the reply, if it comes to that, has a line
		return nil
	case policy.Hold, policy.Filter, policy.Redirect, policy.BCC:
		if s.proxied() { // the filter gets the message, and not the queue
			log.Warn("action of a restriction that smtpd.proxy_filter leaves no room for", keys...)
			return nil
		}
		ok = new(policy.Orders).Note(d.Action, d.Arg, s.address)
	case policy.Info:
	default:
		ok = new(policy.Orders).Note(d.Action, d.Arg, s.address)
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

// act does to the message what was noted.
func (s *session) act(env *envelope.Envelope) {
	o := policy.OrdersOf(env)
	for _, d := range s.known.Noted {
		o.Note(d.Action, d.Arg, s.address)
	}
	o.Give(env)
}
