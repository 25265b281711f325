package imapd

// runSubscribe is SUBSCRIBE (RFC 3501 section 6.3.6).
func runSubscribe(s *session, a *args) (reply, error) { return setSubscribed(s, a, true) }

// runUnsubscribe is UNSUBSCRIBE (RFC 3501 section 6.3.7).
func runUnsubscribe(s *session, a *args) (reply, error) { return setSubscribed(s, a, false) }

func setSubscribed(s *session, a *args, on bool) (reply, error) {
	name, err := a.onlyMailbox()
	if err != nil {
		return reply{}, err
	}
	text := "Subscribe completed"
	if !on {
		text = "Unsubscribe completed"
	}
	return reply{text: text}, s.user.Subscribe(s.ctx, name, on)
}
