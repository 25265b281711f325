package pop3d

// uidl is UIDL: the unique ids of one message or of all.
func (s *session) uidl(args []string) error {
	validity := s.drop.view.Info().UIDValidity
	return s.scan(args, func(b []byte, m *message) []byte {
		return appendUIDL(b, s.h.uidlForm, m, validity)
	})
}
