package imapd

import (
	"errors"

	"toastmaster/internal/dsn"
	"toastmaster/internal/sasl"
	"toastmaster/mailstore/login"
)

// runLogin is LOGIN (RFC 3501 section 6.2.3).
func runLogin(s *session, a *args) (reply, error) {
	if a.space(); a.err == nil && s.login.Refusal() != nil {
		// The password is not even read: a literal would ask for it.
		return s.loggedIn(s.login.Login(s.ctx, "LOGIN", "", ""))
	}
	name := a.astring()
	a.space()
	secret := a.astring()
	if err := a.end(); err != nil {
		return reply{}, err
	}
	return s.loggedIn(s.login.Login(s.ctx, "LOGIN", name, secret))
}

// loggedIn makes the answer to an attempt to log in.
func (s *session) loggedIn(err error) (reply, error) {
	if err == nil {
		s.mail = s.login.Mail()
		s.c.In.MaxSkipped = s.srv.config.MaxDiscard
		return reply{"CAPABILITY " + s.srv.capsAfter, "Logged in"}, nil
	}
	if s.c.lost() {
		return reply{}, err
	}
	if s.login.Exhausted() {
		s.bye("Too many failed log-ins")
		s.talking = true
	}
	return reply{}, loginRefusal(err)
}

// loginRefusal maps an error of log-in to the response codes of RFC 5530.
func loginRefusal(err error) error {
	e := dsn.From(err)
	r := &refusal{kind: "NO", text: e.Text, cause: err}
	switch {
	case errors.Is(err, sasl.ErrCancelled), errors.Is(err, sasl.ErrSyntax), errors.Is(err, sasl.ErrTooLong):
		r.kind = "BAD"
	case errors.Is(err, login.ErrInsecure):
		r.code = "PRIVACYREQUIRED"
	case errors.Is(err, login.ErrMechanism):
		r.code = "CANNOT"
	case errors.Is(err, login.ErrTooMany):
		r.code = "LIMIT"
	case e.Status == dsn.AuthFailed:
		r.code = "AUTHENTICATIONFAILED"
	case e.Temporary():
		r.code = "UNAVAILABLE"
	}
	return r
}
