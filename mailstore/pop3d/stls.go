package pop3d

// stls is STLS (RFC 2595 section 4). What the client sent behind the command
// came in clear and is dropped by StartTLS.
func (s *session) stls([]string) error {
	if !s.login.CanStartTLS() {
		return s.mistake("TLS is not available")
	}
	s.ok("Begin TLS negotiation")
	if err := s.login.StartTLS(); err != nil {
		return err
	}
	s.name = ""
	return nil
}
