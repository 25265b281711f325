package imapd

// runRename is RENAME (RFC 3501 section 6.3.5).
func runRename(s *session, a *args) (reply, error) {
	a.space()
	from := a.mailboxName()
	a.space()
	to := a.mailboxName()
	if err := a.end(); err != nil {
		return reply{}, err
	}
	return reply{text: "Rename completed"}, s.user.Rename(s.ctx, from, to)
}
