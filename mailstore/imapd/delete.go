package imapd

// runDelete is DELETE (RFC 3501 section 6.3.4).
func runDelete(s *session, a *args) (reply, error) {
	name, err := a.onlyMailbox()
	if err != nil {
		return reply{}, err
	}
	if name == inbox {
		return reply{}, no("CANNOT", "INBOX cannot be deleted")
	}
	if s.box != nil && s.box.view.Info().Name == name {
		// Its messages would be expunged one by one otherwise; Dovecot leaves
		// the mailbox, too.
		s.closeView()
	}
	return reply{text: "Delete completed"}, s.user.Delete(s.ctx, name)
}
