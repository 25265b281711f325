package imapd

// runSubscribe is SUBSCRIBE (RFC 3501 section 6.3.6).
func runSubscribe(s *session, a *args) (reply, error) {
	box, err := a.onlyMailbox()
	if err != nil {
		return reply{}, err
	}
	return reply{text: "Subscribe completed"}, s.mail.Subscribe(s.ctx, box)
}

// runUnsubscribe is UNSUBSCRIBE (RFC 3501 section 6.3.7), for what is no more, too.
func runUnsubscribe(s *session, a *args) (reply, error) {
	a.space()
	name := a.mailboxName()
	if err := a.end(); err != nil {
		return reply{}, err
	}
	return reply{text: "Unsubscribe completed"}, s.mail.Unsubscribe(s.ctx, name)
}
