package smtpd

import (
	"testing"
)

// TestPipeliningIsRemembered: where the session goes on, the restriction refuses it.
func TestPipeliningIsRemembered(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Trusted = nil
	b.o.Params.ForbidPipelining = false
	b.o.Params.Restrictions.Data = []string{"reject_unauth_pipelining"}
	text := "C: MAIL FROM:<s@elsewhere.test>\nS: 250 *\nC: RCPT TO:<alice@example.test>\nS: 250 *\nC: DATA\n"
	play(t, b, (*Daemon).MX, "S: 220 *\nC: HELO client.test\nS: 250 *\n"+text+"S: 354 *\nC: .\nS: 250 *\nC: QUIT\nS: 221 *\n")
	play(t, b, (*Daemon).MX, "S: 220 *\nC> HELO client.test\\r\\nNOOP\\r\\n\nS: 250 *\nS: 250 *\n"+text+
		"S: 503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining\nC: QUIT\nS: 221 *\n")
}
