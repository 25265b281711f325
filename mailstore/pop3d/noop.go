package pop3d

// noop is NOOP.
func (s *session) noop([]string) error {
	s.ok("Nothing done")
	return nil
}
