package imapd

// runUnselect is UNSELECT (RFC 3691): CLOSE that expunges nothing.
func runUnselect(s *session, a *args) (reply, error) {
	if err := a.end(); err != nil {
		return reply{}, err
	}
	s.closeView()
	return reply{text: "Unselect completed"}, nil
}
