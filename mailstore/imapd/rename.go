package imapd

// runRename is RENAME (RFC 3501 section 6.3.5).
func runRename(s *session, a *args) (reply, error) {
	a.space()
	from := a.mailbox()
	a.space()
	to := a.mailbox()
	if err := a.end(); err != nil {
		return reply{}, err
	}
	return reply{text: "Rename completed"}, from.Rename(s.ctx, to)
}
