package e2e

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"toastmaster/internal/testkit/dnstest"
)

// TestMailNeverComesBackToUs: a domain whose mail exchanger is this host in
// whatever form, or a place in a private network, is refused at once, and an address
// literal of this host is its own domain.
func TestMailNeverComesBackToUs(t *testing.T) {
	t.Parallel()
	names := map[string]dnstest.Name{}
	want := map[string]string{} // domain -> status
	for status, ips := range map[string]string{
		"5.4.6": "127.0.0.1 127.0.0.77 0.0.0.0 :: ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1",
		"5.4.4": "10.1.2.3 192.168.1.1 169.254.1.1 224.0.0.1 255.255.255.255 fd00::1 fe80::1",
	} {
		for i, ip := range strings.Fields(ips) {
			domain := fmt.Sprintf("to%d-%s.example", i, strings.ReplaceAll(status, ".", "-"))
			names[domain] = dnstest.Name{MX: []net.MX{{Host: "mx." + domain, Pref: 10}}}
			names["mx."+domain] = dnstest.Name{Addrs: []string{ip}}
			want[domain] = status
		}
	}
	dns := dnstest.Start(t, names)
	b := serve(t, map[string]string{"smtp.resolver": fmt.Sprintf("[%q]", dns.Addr)})
	for domain := range want {
		b.sendOne(t, alice, "x@"+domain, "to "+domain)
	}
	var reports strings.Builder
	for _, f := range b.waitMail(t, alice, len(want)) {
		reports.WriteString(readFile(t, f))
	}
	for domain, status := range want {
		_, report, found := strings.Cut(reports.String(), "Final-Recipient: rfc822; x@"+domain)
		if report, _, _ = strings.Cut(report, "\n\n"); !found || !strings.Contains(report, "Status: "+status) {
			t.Errorf("%s (%v): %q, want %s", domain, names["mx."+domain].Addrs, report, status)
		}
	}
	b.queueEmpty(t)

	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.command("250", "MAIL FROM:<%s>", alice)
	must(t, err)
	for _, literal := range []string{"[127.0.0.1]", "[127.9.9.9]", "[0.0.0.0]", "[IPv6:::1]", "[IPv6:::]", "[IPv6:::ffff:127.0.0.1]"} {
		var refused *smtpError
		if r, err := s.command("250", "RCPT TO:<nobody@%s>", literal); !errors.As(err, &refused) || !strings.HasPrefix(r, "550 5.1.1") {
			t.Errorf("nobody@%s: %q %v", literal, r, err)
		}
		_, err := s.command("250", "RCPT TO:<postmaster@%s>", literal)
		must(t, err)
	}
	_, err = s.command("354", "DATA")
	must(t, err)
	_, err = s.command("250", "Subject: to this very host\r\n\r\ntext\r\n.")
	must(t, err)
	if files := b.waitMail(t, "postmaster@mx.example.test", 1); !strings.Contains(readFile(t, files[0]), "to this very host") {
		t.Error("another message")
	}
}
