package pop3d

// uidl is UIDL: the unique ids of one message or of all. What another server
// told clients and saved is the unique id; pop3d.uidl_format is for the rest.
// When it is not known what was saved there is no answer: with another one
// clients would get all their mail once more.
func (s *session) uidl(args []string) error {
	if !s.drop.uidlsRead {
		saved, err := s.drop.view.SavedUIDLs(s.ctx)
		if err != nil {
			s.warn("reading the saved unique ids failed", err)
			s.err("[SYS/TEMP] Unique ids are not available now, try again later")
			return nil
		}
		s.drop.uidls, s.drop.uidlsRead = saved, true
	}
	validity := s.drop.view.Info().UIDValidity
	return s.scan(args, func(b []byte, m *message) []byte {
		if id, ok := s.drop.uidls[m.uid]; ok {
			return append(b, id...)
		}
		return appendUIDL(b, s.h.uidlForm, m, validity)
	})
}
