package e2e

import (
	"fmt"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// utf8Mail is a message as it goes over the wire: who it is from, what MAIL says besides, and its header.
type utf8Mail struct{ from, options, header, to string }

// offer sends a message to a server, which has to take it.
func offer(t *testing.T, address string, m utf8Mail) {
	t.Helper()
	s, err := dialSMTP(address, "EHLO")
	must(t, err)
	defer s.Close()
	for _, step := range [][2]string{
		{"250", "MAIL FROM:<" + m.from + ">" + m.options}, {"250", "RCPT TO:<" + m.to + ">"}, {"354", "DATA"},
		{"250", m.header + "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n."},
	} {
		if said, err := s.command(step[0], "%s", step[1]); err != nil {
			t.Fatalf("%s: %s, %v", step[1], said, err)
		}
	}
}

// utf8Chain is a Postfix that hands on to an instance all that is not its own, and two of them behind the instance: one with SMTPUTF8, and one without.
func utf8Chain(t *testing.T) (b *box, first, with, without *peers.Postfix) {
	t.Helper()
	b = serve(t, nil)
	first = startPostfix(t, "mx.peer.example", "smtputf8_enable = yes\nrelayhost = [127.0.0.1]:"+portOf(t, b.SMTP()), "jürgen@peer.example", "dave@peer.example")
	with = startPostfix(t, "mx.with.example", "smtputf8_enable = yes\nrelayhost = [127.0.0.1]:"+portOf(t, b.SMTP()), "carol@with.example", "zoë@with.example")
	without = startPostfix(t, "mx.without.example", "smtputf8_enable = no\nrelayhost = [127.0.0.1]:"+portOf(t, b.SMTP()), "carol@without.example")
	var tables strings.Builder
	for domain, p := range map[string]*peers.Postfix{"peer": first, "with": with, "without": without} {
		fmt.Fprintf(&tables, "\n[[transport]]\nname = %q\ndomains = [%q]\nnexthop = \"[127.0.0.1]:%d\"\n", domain, domain+".example", p.Port25())
	}
	addTables(t, b, tables.String())
	return b, first, with, without
}

// TestSMTPUTF8OverThreeHosts: mail from a Postfix through us to one with SMTPUTF8 arrives as it was, whatever of it needs that; to one without it goes
// what is pure ASCII, label or not, and what needs it is reported to its sender at once, with 5.6.7. The report of a sender with a UTF-8 address is
// one of RFC 6533, ours and theirs, and reaches him through us.
func TestSMTPUTF8OverThreeHosts(t *testing.T) {
	t.Parallel()
	b, first, with, without := utf8Chain(t)
	const label = " BODY=8BITMIME SMTPUTF8"
	must(t, b.AddMailbox(testContext(t), "müller@example.test", "secret"))

	// To us: by its client with and without the label, by its sendmail, and to an address that needs it.
	offer(t, first.SMTP(), utf8Mail{"dave@peer.example", label, "Subject: labelled", alice})
	offer(t, first.SMTP(), utf8Mail{"dave@peer.example", label, "Subject: head Grüße", alice})
	offer(t, first.SMTP(), utf8Mail{"dave@peer.example", " BODY=8BITMIME", "Subject: bare Grüße", alice})
	offer(t, first.SMTP(), utf8Mail{"jürgen@peer.example", label, "Subject: sender", alice})
	must(t, first.Submit(testContext(t), "dave@peer.example", []string{alice}, "Subject: sendmail Grüße\n\nGrüße\n"))
	got := headersBySubject(t, b.waitMail(t, alice, 5))
	for subject, kind := range map[string]string{"labelled": "UTF8SMTPS", "head Grüße": "UTF8SMTPS", "bare Grüße": "ESMTPS", "sender": "UTF8SMTPS", "sendmail Grüße": "UTF8SMTPS"} {
		if text := got[subject]; !strings.Contains(text, "by mx.example.test") || !strings.Contains(text, " with "+kind+" id ") || !strings.HasSuffix(text, "\n\nGrüße\n") {
			t.Errorf("%s, which comes by %s:\n%s", subject, kind, text)
		}
	}
	offer(t, first.SMTP(), utf8Mail{"jürgen@peer.example", label, "From: jürgen@peer.example\r\nSubject: to Müller", "müller@example.test"})
	if text := readFile(t, b.waitMail(t, "m%C3%BCller@example.test", 1)[0]); !strings.Contains(text, "Return-Path: <jürgen@peer.example>") || !strings.Contains(text, "From: jürgen@peer.example\n") {
		t.Errorf("%s", text)
	}

	// On to a host with it: all of that, and an address there.
	for _, to := range []string{"carol@with.example", "zoë@with.example"} {
		offer(t, first.SMTP(), utf8Mail{"jürgen@peer.example", label, "From: jürgen@peer.example\r\nSubject: on " + to, to})
		text := readFile(t, waitPeerMail(t, with, to, 1)[0])
		for _, want := range []string{"Return-Path: <jürgen@peer.example>", "From: jürgen@peer.example\n", "\nSubject: on " + to + "\n", "\n\nGrüße\n", "with UTF8SMTPS"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", to, want, text)
			}
		}
	}

	// On to a host without it: what does not need it.
	offer(t, first.SMTP(), utf8Mail{"dave@peer.example", label, "Subject: labelled", "carol@without.example"})
	offer(t, first.SMTP(), utf8Mail{"dave@peer.example", " BODY=8BITMIME", "Subject: bare Grüße", "carol@without.example"}) // nobody said that it needs it
	for subject, text := range headersBySubject(t, waitPeerMail(t, without, "carol@without.example", 2)) {
		if !strings.Contains(text, "with ESMTPS") || !strings.HasSuffix(text, "\n\nGrüße\n") {
			t.Errorf("%s:\n%s", subject, text)
		}
	}

	// What does comes back to who wrote it, and so does what the host with it refuses.
	offer(t, first.SMTP(), utf8Mail{"dave@peer.example", label, "Subject: head Grüße", "carol@without.example"})
	report := readFile(t, waitPeerMail(t, first, "dave@peer.example", 1)[0])
	for _, want := range []string{"Status: 5.6.7", "Action: failed", "Final-Recipient: rfc822; carol@without.example", "Subject: head Grüße", "Reporting-MTA: dns; mx.example.test"} {
		if strings.Count(report, want) != 1 {
			t.Errorf("%q stands %d times in\n%s", want, strings.Count(report, want), report)
		}
	}
	offer(t, first.SMTP(), utf8Mail{"jürgen@peer.example", label, "Subject: ours", "carol@without.example"})
	offer(t, first.SMTP(), utf8Mail{"jürgen@peer.example", label, "Subject: theirs", "nobody@with.example"})
	offer(t, with.SMTP(), utf8Mail{"jürgen@peer.example", label, "Subject: from there", "niemänd@example.test"})
	for _, f := range waitPeerMail(t, first, "jürgen@peer.example", 3) {
		text := readFile(t, f)
		wants := []string{"Return-Path: <>", "report-type=delivery-status", "message/global-delivery-status", "Action: failed", "message/global", "by mx.peer.example", "from mx.example.test"}
		switch {
		case strings.Contains(text, "Subject: ours"):
			wants = append(wants, "To: jürgen@peer.example", "Status: 5.6.7", "Reporting-MTA: dns; mx.example.test")
		case strings.Contains(text, "Subject: theirs"):
			wants = append(wants, "Status: 5.1.1", "nobody@with.example", "Reporting-MTA: dns; mx.example.test")
		default:
			wants = append(wants, "Subject: from there", "Status: 5.1.1", "niemänd@example.test", "Reporting-MTA: dns; mx.with.example")
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
	}
	b.queueEmpty(t)
	if out, err := b.Run(testContext(t), "", "queue", "list", "--json"); err != nil || strings.Contains(out, `"id"`) {
		t.Errorf("%v, %s", err, out)
	}
	if log := readFile(t, b.LogFile()); strings.Contains(log, "status=deferred") {
		t.Errorf("something waited:\n%s", b.LogTail(4000))
	}
}

// headersBySubject are messages, whole, by their subject.
func headersBySubject(t *testing.T, files []string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, f := range files {
		text := readFile(t, f)
		_, subject, _ := strings.Cut(text, "\nSubject: ")
		subject, _, _ = strings.Cut(subject, "\n")
		found[subject] = text
	}
	return found
}
