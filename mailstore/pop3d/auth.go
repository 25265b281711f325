package pop3d

import (
	"errors"

	"toastmaster/internal/dsn"
	"toastmaster/internal/sasl"
	"toastmaster/internal/wire"
	"toastmaster/mailstore/login"
)

// auth is AUTH (RFC 5034). Without a mechanism it lists them, which is older
// than CAPA and still asked for.
func (s *session) auth(args []string) error {
	if len(args) == 0 {
		s.ok("Mechanisms follow")
		for _, m := range s.login.Mechanisms() {
			s.line(m)
		}
		s.dot()
		return nil
	}
	var initial []byte
	if len(args) == 2 {
		initial = []byte(args[1])
	}
	err := s.login.SASL(s.ctx, args[0], initial, s.ask)
	switch {
	case errors.Is(err, login.ErrMechanism), errors.Is(err, sasl.ErrCancelled),
		errors.Is(err, sasl.ErrSyntax), errors.Is(err, sasl.ErrTooLong):
		return s.mistake(dsn.From(err).Text)
	case err != nil && !isRefusal(err):
		return err // of the connection
	}
	return s.loggedIn(err)
}

// ask sends a challenge and reads the answer.
func (s *session) ask(challenge []byte) ([]byte, error) {
	_, _ = s.wire.Out.WriteString("+ ")
	_, _ = s.wire.Out.Write(challenge)
	_, _ = s.wire.Out.WriteString("\r\n")
	line, err := s.wire.ReadCommand()
	if errors.Is(err, wire.ErrTooLong) {
		return nil, sasl.ErrTooLong
	}
	return line, err
}

// isRefusal tells an answer of the log-in from a failure of the connection.
func isRefusal(err error) bool {
	var e *dsn.Error
	return errors.As(err, &e)
}

// loggedIn answers an attempt to log in and opens the maildrop.
func (s *session) loggedIn(err error) error {
	s.name = ""
	if err == nil {
		s.drop, err = openMaildrop(s)
		if err == nil {
			s.ok("Logged in")
			return nil
		}
		// There is no way back to the stage before log-in.
		s.err(refusal(err))
		return err
	}
	s.err(refusal(err))
	if s.login.Exhausted() {
		return errFailures
	}
	return nil
}

// refusal is the text of an error with the response code that fits its status
// (RFC 3206 section 4, RFC 2449 section 8.1).
func refusal(err error) string {
	e := dsn.From(err)
	switch {
	case errors.Is(err, login.ErrTooMany):
		return "[IN-USE] " + e.Text
	case errors.Is(err, login.ErrInsecure):
		return e.Text
	case e.Status == dsn.AuthFailed:
		return "[AUTH] " + e.Text
	case e.Temporary():
		return "[SYS/TEMP] " + e.Text
	}
	return "[SYS/PERM] " + e.Text
}
