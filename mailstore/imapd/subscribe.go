package imapd

// subscribe is SUBSCRIBE (RFC 3501 section 6.3.6).
func (s *session) subscribe(a *args) (reply, error) { return s.setSubscribed(a, true) }

// unsubscribe is UNSUBSCRIBE (RFC 3501 section 6.3.7).
func (s *session) unsubscribe(a *args) (reply, error) { return s.setSubscribed(a, false) }

func (s *session) setSubscribed(a *args, on bool) (reply, error) {
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
