package imapd

// rename is RENAME (RFC 3501 section 6.3.5).
func (s *session) rename(a *args) (reply, error) {
	if err := a.space(); err != nil {
		return reply{}, err
	}
	from, err := a.mailboxName()
	if err != nil {
		return reply{}, err
	}
	if err := a.space(); err != nil {
		return reply{}, err
	}
	to, err := a.mailboxName()
	if err != nil {
		return reply{}, err
	}
	if err := a.end(); err != nil {
		return reply{}, err
	}
	return reply{text: "Rename completed"}, s.user.Rename(s.ctx, from, to)
}
