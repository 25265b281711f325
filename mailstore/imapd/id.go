package imapd

// runID is ID (RFC 2971). What the client says of itself is read and not kept:
// nothing depends on it, and a log of versions is not our business.
func runID(s *session, a *args) (reply, error) {
	a.space()
	if a.peek() == '(' {
		a.list(func() { a.nstring() })
	} else if _, some := a.nstring(); some {
		a.fail(errSyntax)
	}
	if err := a.end(); err != nil {
		return reply{}, err
	}
	s.c.writeString("* ID (\"name\" \"Toastmaster\")\r\n")
	return reply{text: "ID completed"}, nil
}
