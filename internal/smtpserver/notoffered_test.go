package smtpserver

import (
	"context"
	"io"
	"net"
	"testing"

	"toastmaster/internal/dsn"
	"toastmaster/internal/testkit/transcript"
)

// plainSession has no add-on: nobody can log in.
type plainSession struct{}

func (plainSession) Reset()                                {}
func (plainSession) Mail(context.Context, Mail) *dsn.Error { return nil }
func (plainSession) Rcpt(context.Context, Rcpt) *dsn.Error { return nil }
func (plainSession) Data(_ context.Context, r io.Reader) (Accepted, *dsn.Error) {
	_, err := io.Copy(io.Discard, r)
	return Accepted{}, dsn.From(err)
}

// TestNotOffered: a server without TLS and without log-in announces neither, and
// refuses both as what it does not know.
func TestNotOffered(t *testing.T) {
	t.Parallel()
	s := testServer(nil)
	s.Backend = BackendFunc(func(*Conn) Session { return plainSession{} })
	s.NoDSN = true
	address := serve(t, s)
	transcript.Run(t, "not offered", `S: 220 *
C: EHLO client.test
S: 250-mx.test
S: 250-PIPELINING
S: 250-SIZE 20000
S: 250-ENHANCEDSTATUSCODES
S: 250-8BITMIME
S: 250-SMTPUTF8
S: 250 CHUNKING
C: STARTTLS
S: 502 5.5.1 STARTTLS is not offered
C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
S: 502 5.5.1 AUTH is not offered
C: MAIL FROM:<a@example.test> RET=HDRS
S: 555 5.5.4 Unsupported parameter RET
C: MAIL FROM:<a@example.test>
S: 250 2.1.0 Ok
C: RCPT TO:<b@example.test> NOTIFY=NEVER
S: 555 5.5.4 Unsupported parameter NOTIFY
C: QUIT
S: 221 2.0.0 Bye
S: <end>
`, transcript.Options{Dial: func(t *testing.T, _ string) net.Conn { return dial(t, address) }})
}

// TestTLSRequired: where TLS is required nothing else is done before it.
func TestTLSRequired(t *testing.T) {
	t.Parallel()
	s := testServer(nil)
	s.Backend = BackendFunc(func(*Conn) Session { return plainSession{} })
	s.RequireTLS = true
	address := serve(t, s)
	transcript.Run(t, "required", `S: 220 *
C: MAIL FROM:<a@example.test>
S: 530 5.7.0 Must issue a STARTTLS command first
C: NOOP
S: 250 *
C: HELO client.test
S: 250 *
C: MAIL FROM:<a@example.test>
S: 530 5.7.0 Must issue a STARTTLS command first
C: DATA
S: 530 5.7.0 Must issue a STARTTLS command first
C: QUIT
S: 221 2.0.0 Bye
S: <end>
`, transcript.Options{Dial: func(t *testing.T, _ string) net.Conn { return dial(t, address) }})
}
