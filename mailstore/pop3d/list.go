package pop3d

import "strconv"

// list is LIST: the sizes of one message or of all.
func (s *session) list(args []string) error {
	return s.scan(args, func(b []byte, m *message) []byte { return strconv.AppendInt(b, m.size, 10) })
}

// scan answers LIST and UIDL: "number what" for one message, or a line of it
// for each that is not deleted.
func (s *session) scan(args []string, what func(b []byte, m *message) []byte) error {
	b := make([]byte, 0, 128)
	if len(args) == 1 {
		seq, m, reason := s.drop.find(args[0])
		if m == nil {
			return s.mistake(reason)
		}
		b = strconv.AppendUint(append(b, "+OK "...), uint64(seq), 10)
		_, _ = s.wire.Out.Write(append(what(append(b, ' '), m), "\r\n"...))
		return nil
	}
	s.ok(strconv.Itoa(s.drop.kept) + " messages")
	for i := range s.drop.messages {
		m := &s.drop.messages[i]
		if m.deleted {
			continue
		}
		b = append(strconv.AppendInt(b[:0], int64(i+1), 10), ' ')
		if _, err := s.wire.Out.Write(append(what(b, m), "\r\n"...)); err != nil {
			return err
		}
	}
	s.dot()
	return nil
}
