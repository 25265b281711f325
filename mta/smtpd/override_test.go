package smtpd

import (
	"testing"

	"toastmaster/configs"
)

// TestReceiveOverrideOptions: recipients that nobody has, and that have moved, are taken; who may relay is not changed by that. Cleanup is told
// what it leaves out, and by which filter the message goes.
func TestReceiveOverrideOptions(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Trusted = nil
	p := &b.o.Params
	p.ContentFilter = "scan:[127.0.0.1]:10025"
	p.Override = []configs.ReceiveOverride{configs.NoUnknownRecipientChecks, configs.NoAddressMappings, configs.NoHeaderBodyChecks, configs.NoMilters}
	play(t, b, (*Daemon).MX, `S: 220 *
C: EHLO client.test
S: ...
S: 250 CHUNKING
C: MAIL FROM:<x@elsewhere.test>
S: 250 *
C: RCPT TO:<y@elsewhere.test>
S: 554 5.7.1 *
C: RCPT TO:<nobody@example.test>
S: 250 *
C: RCPT TO:<moved@example.test>
S: 250 *
C: DATA
S: 354 *
C: x
C: .
S: 250 *
C: QUIT
S: 221 *
`)
	s, _ := b.sent.last(t)
	if !s.Override.NoMappings || !s.Override.NoChecks || s.Envelope.Filter == nil || s.Envelope.Filter.String() != p.ContentFilter || len(s.Envelope.Recipients) != 2 {
		t.Errorf("%+v %+v", s, s.Envelope)
	}
}

// TestSoftBounceSaysLater: whatever would be refused for good is refused for now, and the session goes on as it would.
func TestSoftBounceSaysLater(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Trusted, b.o.SoftBounce = nil, true
	play(t, b, (*Daemon).MX, `S: 220 *
C: RCPT TO:<x@y.test>
S: 403 4.5.1 *
C: EHLO client.test
S: ...
S: 250 CHUNKING
C: FOO
S: 400 4.5.1 *
C: MAIL FROM:<x@elsewhere.test> SIZE=30000
S: 452 4.3.4 *
C: MAIL FROM:<x@elsewhere.test>
S: 250 *
C: RCPT TO:<nobody@example.test>
S: 450 4.1.1 *
C: RCPT TO:<y@elsewhere.test>
S: 454 4.7.1 *
C: RCPT TO:<alice@example.test>
S: 250 *
C: DATA
S: 354 *
C: x
C: .
S: 250 *
C: GET / HTTP/1.0
S: 421 4.7.1 *
`)
}
