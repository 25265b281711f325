package e2e

import (
	"strings"
	"testing"
)

// TestAddressesAreRewritten: a client of this host has its addresses completed and mapped, in the envelope and in
// the header, a recipient that is mapped needs no mailbox, and a table that cannot answer lets nothing pass.
func TestAddressesAreRewritten(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{
		"cleanup.canonical_maps":           `["inline:{ {old@example.test=bob@example.test} }", "pipemap:{inline:{ {late@example.test=x} },fail:x}"]`,
		"cleanup.sender_canonical_maps":    `["inline:{ {x@elsewhere.example=Known.As@elsewhere.example} }"]`,
		"cleanup.masquerade_domains":       `["old.example"]`,
		"cleanup.recipient_canonical_maps": `["inline:{ {gone@example.test=alice@example.test} }"]`,
	})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.send("x@elsewhere.example", []string{"old+tag@example.test"}, "From: X <x@elsewhere.example>\r\nTo: old+tag@example.test, carl\r\nCc: a@host.old.example\r\nX-To: carl\r\nSubject: x\r\n\r\nx\r\n")
	must(t, err)
	text := readFile(t, b.waitMail(t, bob, 1)[0])
	for _, want := range []string{"Return-Path: <Known.As@elsewhere.example>\n", "\nFrom: X <Known.As@elsewhere.example>\nTo: bob+tag@example.test, carl@", "\nCc: a@old.example\nX-To: carl\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	_, err = s.send("y@elsewhere.example", []string{"gone@example.test"}, "Subject: x\r\n\r\nx\r\n")
	must(t, err)
	b.waitMail(t, alice, 1)
	if _, err := s.send("late@example.test", []string{alice}, "Subject: x\r\n\r\nx\r\n"); err == nil || !strings.Contains(err.Error(), "451 4.3.0") {
		t.Error(err)
	}
	b.queueEmpty(t)
}

// signedByAnother is a message whose signature is about its header as it stands, which no program would write so.
const signedByAnother = "DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=elsewhere.example; s=x; h=from:to:cc;\r\n bh=AAAA; b=BBBB\r\nFrom:   X  <x@elsewhere.example>\r\nTO: old@example.test,carl ,\r\n\t\"a\" <b>\r\nCc: J. Doe <a@host.old.example>\r\n\r\nx\r\n"

// TestSignedMailStaysAsItIs: the header of a client of another host is not touched, whatever maps there are.
func TestSignedMailStaysAsItIs(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{
		"cleanup.canonical_maps":                 `["static:bob@example.test"]`,
		"cleanup.canonical_classes":              `["header_sender", "header_recipient"]`,
		"cleanup.masquerade_domains":             `["old.example"]`,
		"rewrite.append_dot_mydomain":            "true",
		"smtpd.local_header_rewrite_clients":     "[]",
		"cleanup.sender_canonical_maps":          `["inline:{ {x@elsewhere.example=bob@example.test} }"]`,
		"cleanup.propagate_unmatched_extensions": "[]",
	})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.send("x@elsewhere.example", []string{alice}, signedByAnother)
	must(t, err)
	if text := readFile(t, b.waitMail(t, alice, 1)[0]); !strings.Contains(text, "\n"+strings.ReplaceAll(signedByAnother, "\r\n", "\n")) {
		t.Error(text)
	}
	b.queueEmpty(t)
}
