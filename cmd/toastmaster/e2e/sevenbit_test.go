package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"toastmaster/internal/testkit/dnstest"
)

// eightBitMail are messages with 8-bit content, by their Subject, that say so.
var eightBitMail = map[string]string{
	"text": "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGr\u00fc\u00dfe =20 aus K\u00f6ln \ntab\t\n" +
		strings.Repeat("\u00e9t\u00e9 ", 40) + "\n" + strings.Repeat("x", 72) + "\u00e9\n" + strings.Repeat("y", 73) + " \n\nend\n",
	"binary": "Content-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n\xff\xfe\x01\x7f\n\x80\n",
	"alternative": "Content-Type: multipart/alternative; boundary=\"=_b1\"\nContent-Transfer-Encoding: 8bit\n\nNobody reads this.\n\n--=_b1\n" +
		"Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\nna\xefve\n\n--=_b1\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" +
		"<p>na\u00efve</p>\n--=_b1\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n--=_b1\nContent-Type: text/plain\n\nascii = it is\n--=_b1--\nnor this\n",
	"forwarded": "Content-Type: multipart/mixed; boundary=outer\nContent-Transfer-Encoding: 8bit\n\n--outer\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n" +
		"From: x@y.example\nSubject: inner\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=inner\nContent-Transfer-Encoding: 8bit\n\n--inner\n" +
		"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\u00e4\u00f6\u00fc\n--inner--\n\n--outer--\n",
	"report": "Content-Type: multipart/report; report-type=delivery-status; boundary=r\nContent-Transfer-Encoding: 8bit\n\n--r\nContent-Type: text/plain; charset=utf-8\n" +
		"Content-Transfer-Encoding: 8bit\n\nFehler: \u00fc\n--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x.example\n--r--\n",
}

// otherwise are messages of which we and Postfix make different things: it goes by what is
// said of the content, and does not know what is signed.
var otherwise = map[string]string{
	"nothing said": "\nna\u00efve\n",
	"said 7bit":    "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\nna\u00efve\n",
}

const signedMail = "Content-Type: multipart/signed; boundary=s; protocol=\"application/pgp-signature\"; micalg=pgp-sha256\nContent-Transfer-Encoding: 8bit\n\n--s\n" +
	"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nna\u00efve\n--s\nContent-Type: application/pgp-signature\n\nx\n--s--\n"

// TestSevenBitPeerAsPostfix: a peer without 8BITMIME gets from us what it gets from Postfix.
func TestSevenBitPeerAsPostfix(t *testing.T) {
	t.Parallel()
	const ours, theirs = "carol@remote.example", "dave@remote.example"
	p := startPostfix(t, "mx.remote.example", "smtpd_discard_ehlo_keywords = 8bitmime, smtputf8", ours, theirs)
	sender := startPostfix(t, "mx.other.example", fmt.Sprintf("relayhost = [127.0.0.1]:%d", p.Port25()))
	dns := dnstest.Start(t, map[string]dnstest.Name{
		"remote.example": {MX: []net.MX{{Host: "mx.remote.example", Pref: 10}}}, "mx.remote.example": {Addrs: []string{"127.0.0.1"}},
	})
	b := serve(t, map[string]string{"smtp.port": fmt.Sprint(p.Port25()), "smtp.resolver": fmt.Sprintf("[%q]", dns.Addr)})
	send := func(subject, text string) {
		message := "From: <" + alice + ">\nTo: <x@remote.example>\nDate: Fri, 27 Nov 2026 10:00:00 +0000\nMessage-ID: <" + strings.ReplaceAll(subject, " ", ".") + "@example.test>\nSubject: " + subject + "\n"
		if !strings.HasPrefix(text, "\n") {
			message += "MIME-Version: 1.0\n"
		}
		s, err := dialSMTP(b.SMTP(), "EHLO")
		must(t, err)
		defer s.Close()
		_, err = s.send(alice, []string{ours}, strings.ReplaceAll(message+text, "\n", "\r\n"))
		must(t, err)
		must(t, sender.Submit(testContext(t), alice, []string{theirs}, message+text))
	}
	for subject, text := range eightBitMail {
		send(subject, text)
	}
	for subject, text := range otherwise {
		send(subject, text)
	}
	send("signed", signedMail)
	got := bySubject(t, waitPeerMail(t, p, ours, len(eightBitMail)+len(otherwise)))
	want := bySubject(t, waitPeerMail(t, p, theirs, len(eightBitMail)+len(otherwise)+1))

	for subject := range eightBitMail {
		if got[subject] != want[subject] || got[subject] == "" || strings.ContainsFunc(got[subject], notASCII) {
			t.Errorf("%s\nours: %q\nPostfix's: %q", subject, got[subject], want[subject])
		}
	}
	for subject := range otherwise {
		if !strings.HasSuffix(got[subject], "\n\nna=C3=AFve\n") || !strings.Contains(got[subject], "MIME-Version: 1.0\n") {
			t.Errorf("%s: %q", subject, got[subject])
		}
		if !strings.HasSuffix(want[subject], "\nna\u00efve\n") {
			t.Errorf("Postfix converts %s by now: %q", subject, want[subject])
		}
	}
	if strings.ContainsFunc(want["signed"], notASCII) {
		t.Errorf("Postfix does not convert what is signed by now: %q", want["signed"])
	}
	report := readFile(t, b.waitMail(t, alice, 1)[0])
	if !strings.Contains(report, "Status: 5.6.3") || !strings.Contains(report, "multipart/signed") || !strings.Contains(report, "Subject: signed") {
		t.Errorf("the report about what is signed: %s", report)
	}
}

func notASCII(r rune) bool { return r > 127 }

// bySubject are messages without the fields that tell of their way: those of MIME, and the body.
func bySubject(t *testing.T, files []string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, f := range files {
		header, body, _ := strings.Cut(readFile(t, f), "\n\n")
		var subject string
		var kept []string
		for line := range strings.Lines(header + "\n") {
			if s, ok := strings.CutPrefix(line, "Subject: "); ok {
				subject = strings.TrimSpace(s)
			}
			if strings.HasPrefix(line, "Content-T") || strings.HasPrefix(line, "MIME") {
				kept = append(kept, line)
			}
		}
		found[subject] = strings.Join(kept, "") + "\n" + body
	}
	return found
}
