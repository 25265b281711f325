package pop3d

import "strings"

// capa is CAPA (RFC 2449). IMPLEMENTATION has no version: that helps nobody
// but an attacker. LOGIN-DELAY is absent because there is none.
func (s *session) capa([]string) error {
	s.ok("Capability list follows")
	for _, c := range []string{
		"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "IMPLEMENTATION Toastmaster",
	} {
		s.line(c)
	}
	if s.login.CanStartTLS() {
		s.line("STLS")
	}
	if m := s.login.Mechanisms(); len(m) > 0 {
		s.line("USER")
		s.line("SASL " + strings.Join(m, " "))
	}
	s.dot()
	return nil
}
