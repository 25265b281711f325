package imapd

// runStartTLS is STARTTLS (RFC 3501 section 6.2.1). The handshake follows the
// answer.
func runStartTLS(s *session, a *args) (reply, error) {
	if err := a.end(); err != nil {
		return reply{}, err
	}
	if !s.login.CanStartTLS() {
		return reply{}, bad("TLS is not available")
	}
	s.starts = true
	return reply{text: "Begin TLS negotiation now"}, nil
}
