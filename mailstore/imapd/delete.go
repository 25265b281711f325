package imapd

// runDelete is DELETE (RFC 3501 section 6.3.4).
func runDelete(s *session, a *args) (reply, error) {
	box, err := a.onlyMailbox()
	if err != nil {
		return reply{}, err
	}
	if box.Name() == inbox {
		return reply{}, no("CANNOT", "INBOX cannot be deleted")
	}
	if s.box != nil && s.box.view.Name() == box.Name() {
		// Its messages would be expunged one by one otherwise; Dovecot leaves
		// the mailbox, too.
		s.closeView()
	}
	return reply{text: "Delete completed"}, box.Delete(s.ctx)
}
