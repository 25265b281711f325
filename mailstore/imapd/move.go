package imapd

// runMove is MOVE (RFC 6851). COPYUID comes before the EXPUNGEs, which are told
// as news.
func runMove(s *session, a *args) (reply, error) {
	list, dest, err := copyArgs(s, a)
	if err != nil {
		return reply{}, err
	}
	if len(list) == 0 {
		return reply{text: "No messages found"}, nil
	}
	from := s.box.uids(list)
	validity, to, err := s.box.view.Move(s.ctx, list, dest)
	if err != nil {
		return reply{}, tryCreate(err)
	}
	if code := copyUID(validity, from, to); code != "" {
		s.c.writeString("* OK [" + code + "] Moved\r\n")
	}
	s.counts.expunged += len(list)
	return reply{text: "Move completed"}, nil
}
