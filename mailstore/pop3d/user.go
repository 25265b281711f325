package pop3d

// user is USER. It never tells whether the name exists (RFC 1939 section 7
// allows both). Where no log-in may be tried it is refused before the
// client sends its password.
func (s *session) user(args []string) error {
	if e := s.login.Refusal(); e != nil {
		return s.mistake(e.Text)
	}
	s.name = args[0]
	s.ok("Send the password")
	return nil
}
