package imapd

// enable is ENABLE (RFC 5161). No extension here needs it yet; unknown names
// are ignored, as the RFC demands.
func (s *session) enable(a *args) (reply, error) {
	for first := true; first || a.i < len(a.line); first = false {
		if err := a.space(); err != nil {
			return reply{}, err
		}
		if a.i == len(a.line) && !first {
			break
		}
		if _, err := a.atom(); err != nil {
			return reply{}, err
		}
	}
	s.c.writeString("* ENABLED\r\n")
	return reply{text: "Enabled"}, nil
}
