package imapd

// id is ID (RFC 2971). What the client says of itself is read and not kept:
// nothing depends on it, and a log of versions is not our business.
func (s *session) id(a *args) (reply, error) {
	if err := a.space(); err != nil {
		return reply{}, err
	}
	if a.peek() == '(' {
		err := a.list(func() error {
			_, _, err := a.nstring()
			return err
		})
		if err != nil {
			return reply{}, err
		}
	} else if _, ok, err := a.nstring(); err != nil || ok {
		return reply{}, errSyntax
	}
	if err := a.end(); err != nil {
		return reply{}, err
	}
	s.c.writeString("* ID (\"name\" \"Toastmaster\")\r\n")
	return reply{text: "ID completed"}, nil
}
