package pop3d

import "toastmaster/mailstore/login"

// user is USER. It never tells whether the name exists (RFC 1939 section 7
// allows both). On a connection that is not secure it is refused before the
// client sends its password.
func (s *session) user(args []string) error {
	if !s.login.Secure() {
		return s.mistake(login.ErrInsecure.Text)
	}
	s.name = args[0]
	s.ok("Send the password")
	return nil
}
