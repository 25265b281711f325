package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestSMTPUTF8ByContent: mail that a client labels SMTPUTF8 reaches a host that knows nothing of it (Debian's Postfix) when it is pure ASCII, also in its
// 8-bit text, and when an alias or a map makes it so; mail that needs it gets one report at once, 5.6.7, in the form of RFC 6533, and
// waits for nothing. Recipients of one message are each for himself.
func TestSMTPUTF8ByContent(t *testing.T) {
	t.Parallel()
	const carol, dave = "carol@remote.example", "dave@remote.example"
	p := startPostfix(t, "mx.remote.example", "smtputf8_enable = no", carol, dave)
	b := serve(t, map[string]string{
		"smtp.relayhost":             fmt.Sprintf(`"[127.0.0.1]:%d"`, p.Port25()),
		"cleanup.virtual_alias_maps": `["inline:{ {grüße@ali.example=carol@remote.example} }"]`,
		"cleanup.canonical_maps":     `["inline:{ {jörg@elsewhere.example=joerg@elsewhere.example} }"]`,
		"smtp.generic_maps":          `["inline:{ {müller@elsewhere.example=mueller@elsewhere.example} }"]`,
	})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	send := func(from, header string, to ...string) {
		t.Helper()
		_, err := s.command("250", "MAIL FROM:<%s> BODY=8BITMIME SMTPUTF8", from)
		must(t, err)
		for _, r := range to {
			_, err = s.command("250", "RCPT TO:<%s>", r)
			must(t, err)
		}
		_, err = s.command("354", "DATA")
		must(t, err)
		_, err = s.command("250", "%s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n.", header)
		must(t, err)
	}
	send(alice, "Subject: ascii", carol)
	send("jörg@elsewhere.example", "Subject: mapped", carol)
	send("müller@elsewhere.example", "From: müller@elsewhere.example\r\nSubject: generic", carol)
	send(alice, "Subject: alias", "grüße@ali.example")
	got := bySubject(t, waitPeerMail(t, p, carol, 4))
	for _, subject := range []string{"ascii", "mapped", "generic", "alias"} {
		if !strings.HasSuffix(got[subject], "\n\nGrüße\n") {
			t.Errorf("%s: %q", subject, got[subject])
		}
	}
	b.queueEmpty(t)
	// The header needs it.
	send(alice, "Subject: Grüße", carol, dave)
	// One recipient needs it.
	send(alice, "Subject: two", dave, "jürgen@remote.example")
	b.queueEmpty(t)
	waitPeerMail(t, p, dave, 1)
	reports := b.waitMail(t, alice, 2)
	if len(reports) != 2 {
		t.Errorf("%d reports", len(reports))
	}
	var all string
	for _, f := range reports {
		text := readFile(t, f)
		all += text
		for _, want := range []string{"Content-Type: multipart/report; report-type=delivery-status;", "Content-Type: message/global-delivery-status", "Status: 5.6.7", "Action: failed", "SMTPUTF8"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in the report:\n%s", want, text)
			}
		}
	}
	for _, want := range []string{"Final-Recipient: utf-8; jürgen@remote.example", "Final-Recipient: rfc822; " + carol, "Final-Recipient: rfc822; " + dave, "Subject: Grüße"} {
		if strings.Count(all, want) != 1 {
			t.Errorf("%q stands %d times in the reports:\n%s", want, strings.Count(all, want), all)
		}
	}
}

// TestSMTPUTF8GoesOn: to a host that takes it mail that needs SMTPUTF8 goes whole, and comes back through Postfix the same.
func TestSMTPUTF8GoesOn(t *testing.T) {
	t.Parallel()
	const carol = "carol@remote.example"
	p := startPostfix(t, "mx.remote.example", "smtputf8_enable = yes", carol, "jürgen@remote.example")
	b := serve(t, map[string]string{"smtp.relayhost": fmt.Sprintf(`"[127.0.0.1]:%d"`, p.Port25()), "smtpd.strict_smtputf8": "false"})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for _, label := range []string{" SMTPUTF8", ""} { // without strict_smtputf8 an address is its own label
		_, err := s.command("250", "MAIL FROM:<%s>%s", alice, label)
		must(t, err)
		_, err = s.command("250", "RCPT TO:<jürgen@remote.example>")
		must(t, err)
		_, err = s.command("354", "DATA")
		must(t, err)
		_, err = s.command("250", "Subject: Grüße%s\r\n\r\nx\r\n.", label)
		must(t, err)
	}
	for _, f := range waitPeerMail(t, p, "jürgen@remote.example", 2) {
		if text := readFile(t, f); !strings.Contains(text, "Subject: Grüße") || !strings.Contains(text, "with UTF8SMTP") {
			t.Error(text)
		}
	}
	b.queueEmpty(t)
	must(t, b.Stop())
	// The default asks for the label.
	strict := serve(t, nil)
	c, err := dialSMTP(strict.SMTP(), "EHLO")
	must(t, err)
	defer c.Close()
	_, err = c.command("553", "MAIL FROM:<jürgen@remote.example>")
	must(t, err)
}
