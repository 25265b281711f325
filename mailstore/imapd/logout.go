package imapd

// runLogout is LOGOUT (RFC 3501 section 6.1.3).
func runLogout(s *session, a *args) (reply, error) {
	if err := a.end(); err != nil {
		return reply{}, err
	}
	s.bye("Logging out")
	s.reason = "logout"
	return reply{text: "Logout completed"}, nil
}
