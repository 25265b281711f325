package pop3d

// pass is PASS. The argument is all of the line: passwords may hold spaces.
func (s *session) pass(args []string) error {
	if s.name == "" {
		return s.mistake("USER first")
	}
	return s.loggedIn(s.login.Login(s.ctx, "USER", s.name, args[0]))
}
