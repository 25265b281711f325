package pop3d

// rset is RSET: no message is marked to be deleted any more.
func (s *session) rset([]string) error {
	s.drop.restore()
	s.ok("Nothing is marked to be deleted")
	return nil
}
