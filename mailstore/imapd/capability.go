package imapd

import "strings"

// The capabilities. Before log-in only what matters then is told, as Dovecot
// does.
const (
	capabilitiesBefore = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE"
	capabilitiesAfter  = capabilitiesBefore + " NAMESPACE UNSELECT UIDPLUS MOVE CHILDREN SPECIAL-USE CREATE-SPECIAL-USE" +
		" LIST-EXTENDED LIST-STATUS STATUS=SIZE ESEARCH SEARCHRES WITHIN"
)

// capabilities are those of the present state.
func (s *session) capabilities() string {
	if s.user != nil {
		return capabilitiesAfter
	}
	var b strings.Builder
	b.WriteString(capabilitiesBefore)
	if s.login.CanStartTLS() {
		b.WriteString(" STARTTLS")
	}
	mechanisms := s.login.Mechanisms()
	for _, m := range mechanisms {
		b.WriteString(" AUTH=" + m)
	}
	if len(mechanisms) == 0 {
		b.WriteString(" LOGINDISABLED")
	}
	return b.String()
}

// capability is CAPABILITY (RFC 3501 section 6.1.1).
func (s *session) capability(a *args) (reply, error) {
	if err := a.end(); err != nil {
		return reply{}, err
	}
	s.c.writeString("* CAPABILITY " + s.capabilities() + "\r\n")
	return reply{text: "Capability completed"}, nil
}
