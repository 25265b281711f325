package pop3d

// dele is DELE: the message goes at QUIT.
func (s *session) dele(args []string) error {
	_, m, reason := s.drop.find(args[0])
	if m == nil {
		return s.mistake(reason)
	}
	s.drop.remove(m)
	s.ok("Marked to be deleted")
	return nil
}
