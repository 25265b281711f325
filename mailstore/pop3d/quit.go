package pop3d

// quit is QUIT. After log-in it enters the UPDATE state: what DELE marked is
// removed, all or none, before the reply (RFC 1939 section 6).
func (s *session) quit([]string) error {
	if s.drop == nil {
		s.ok("Good-bye")
		return errQuit
	}
	s.deferred()
	if err := s.drop.expunge(s.ctx); err != nil {
		s.warn("deleting messages failed", err)
		s.err("[SYS/TEMP] Some deleted messages were not removed")
		return errQuit
	}
	s.ok("Good-bye")
	return errQuit
}

// deferred writes the marks of RETR. Their loss is no reason to fail QUIT: no
// client of POP3 sees them. Whose log-in is not good any more leaves none.
func (s *session) deferred() {
	if s.login.Check(s.ctx) != nil {
		return
	}
	if err := s.drop.markSeen(s.ctx); err != nil {
		s.warn("marking messages as seen failed", err)
	}
}
