package imapd

// runSelect is SELECT (RFC 3501 section 6.3.1).
func runSelect(s *session, a *args) (reply, error) { return openMailbox(s, a, false) }

// runExamine is EXAMINE (RFC 3501 section 6.3.2).
func runExamine(s *session, a *args) (reply, error) { return openMailbox(s, a, true) }

func openMailbox(s *session, a *args, readOnly bool) (reply, error) {
	box, err := a.onlyMailbox()
	if err != nil && refuse(err).kind == "BAD" {
		return reply{}, err
	}
	// The mailbox selected before is left even if the new one cannot be opened, or can be
	// none: after a NO the client believes that none is selected.
	s.closeView()
	if err != nil {
		return reply{}, err
	}
	v, err := box.Open(s.ctx, readOnly)
	if err != nil {
		return reply{}, err
	}
	info := v.Info()
	s.box = s.newMailbox(v)
	s.box.writeFlags()
	s.box.writeCounts(info.Messages, info.Recent)
	out := s.c.buf()
	if info.FirstUnseen > 0 {
		out = append(out, "* OK [UNSEEN "...)
		out = appendNumber(out, info.FirstUnseen)
		out = append(out, "] First unseen\r\n"...)
	}
	out = append(out, "* OK [UIDVALIDITY "...)
	out = appendNumber(out, info.UIDValidity)
	out = append(out, "] UIDs valid\r\n* OK [UIDNEXT "...)
	out = appendNumber(out, info.UIDNext)
	s.c.put(append(out, "] Predicted next UID\r\n"...))
	if v.ReadOnly() {
		return reply{"READ-ONLY", "Mailbox opened, read-only"}, nil
	}
	return reply{"READ-WRITE", "Mailbox opened"}, nil
}
