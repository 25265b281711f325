package imapd

import (
	"toastmaster/internal/sasl"
	"toastmaster/internal/wire"
)

// runAuthenticate is AUTHENTICATE (RFC 3501 section 6.2.2) with the initial
// response of SASL-IR (RFC 4959).
func runAuthenticate(s *session, a *args) (reply, error) {
	a.space()
	mechanism := a.atom()
	var initial []byte
	if a.more() {
		initial = append([]byte{}, a.line[a.i:]...)
		a.i = len(a.line)
	}
	if a.err != nil {
		return reply{}, a.err
	}
	return s.loggedIn(s.login.SASL(s.ctx, mechanism, initial, func(challenge []byte) ([]byte, error) {
		out := append(s.c.buf(), "+ "...)
		out = append(out, challenge...)
		s.c.put(append(out, "\r\n"...))
		line, err := s.c.ReadLine()
		a.line, a.i = nil, 0
		if err == wire.ErrTooLong {
			return nil, sasl.ErrTooLong
		}
		return line, err
	}))
}
