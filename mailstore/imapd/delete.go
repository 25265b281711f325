package imapd

// delete is DELETE (RFC 3501 section 6.3.4).
func (s *session) delete(a *args) (reply, error) {
	name, err := a.onlyMailbox()
	if err != nil {
		return reply{}, err
	}
	if name == inbox {
		return reply{}, no("CANNOT", "INBOX cannot be deleted")
	}
	if s.view != nil && s.view.Info().Name == name {
		// Its messages would be expunged one by one otherwise; Dovecot leaves
		// the mailbox, too.
		s.closeView()
	}
	return reply{text: "Delete completed"}, s.user.Delete(s.ctx, name)
}
