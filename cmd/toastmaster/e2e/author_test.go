package e2e

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"bufio"
)

// submit opens a session of a user on the submission port with TLS.
func (b *box) submit(t *testing.T, user, word string) *smtpConn {
	t.Helper()
	c, err := tls.Dial("tcp", b.Submissions(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a certificate of our own
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	s := &smtpConn{c, bufio.NewReader(c)}
	_, err = s.expect("220")
	must(t, err)
	_, err = s.command("250", "EHLO client.example.net")
	must(t, err)
	_, err = s.command("235", "AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+word)))
	must(t, err)
	return s
}

// TestUsersWriteInTheirOwnNames: the header and the envelope of a submission show
// the user's own addresses or an alias of them; no mail from outside brings results of
// checks in our name; and there is a limit of messages an hour.
func TestUsersWriteInTheirOwnNames(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"smtpd.user_message_limit": "4"})
	ctx := testContext(t)
	must(t, b.AddAlias(ctx, "sales@example.test", alice))
	must(t, b.AddAlias(ctx, "team@example.test", "sales@example.test"))
	must(t, b.AddAlias(ctx, bob, bob, alice)) // bob's mail goes to alice, too
	s := b.submit(t, alice, alicesWord)
	refused := func(code, sender, header string) {
		t.Helper()
		reply, err := s.send(sender, []string{alice}, header+"\r\nSubject: x\r\n\r\ntext\r\n")
		var e *smtpError
		if !errors.As(err, &e) || !strings.HasPrefix(reply, code) {
			t.Errorf("%s %q: %q %v", sender, header, reply, err)
		}
		if _, err := s.command("250", "RSET"); err != nil {
			t.Fatal(err)
		}
	}
	for _, sender := range []string{alice, ""} {
		for _, header := range []string{
			"From: " + bob, "From: Ceo <ceo@example.test>", "From: " + alice + "\r\nSender: " + bob, `From: "` + bob + `" <` + alice + ">",
			"From: root@mx.example.test",
		} {
			refused("550 5.7.1 ", sender, header)
		}
		refused("550 5.6.0 ", sender, "From: "+alice+"\r\nFrom: "+bob)
	}
	_, err := s.command("553", "MAIL FROM:<%s>", bob)
	must(t, err)
	for _, from := range []string{alice, "team@example.test", "alice+x@example.test", "me@elsewhere.example"} {
		_, err := s.send(alice, []string{alice}, "From: "+from+"\r\nSubject: x\r\n\r\ntext\r\n")
		must(t, err)
	}
	if reply, err := s.command("450", "MAIL FROM:<%s>", alice); err != nil || !strings.Contains(reply, "4.7.1") {
		t.Errorf("%q %v", reply, err)
	}
	b.waitMail(t, alice, 4)

	// LMTP and trusted networks are other hosts of the operator; a stranger's client is not, and
	// neither is a user.
	must(t, func() error {
		s := b.submit(t, bob, bobsWord)
		_, err := s.send(bob, []string{bob}, fmt.Sprintf("Authentication-Results:\r\n (x) MX.example.test; spf=pass\r\nAuthentication-Results: other.example; none\r\nFrom: %s\r\nSubject: claims\r\n\r\ntext\r\n", bob))
		return err
	}())
	files := b.waitMail(t, bob, 1)
	if text := readFile(t, files[0]); strings.Contains(text, "spf=pass") || !strings.Contains(text, "Authentication-Results: other.example") {
		t.Error(text)
	}
}
