package e2e

import (
	"bufio"
	"net"
	"strings"
	"testing"
)

// TestLMTPServesItsOwnNetworks only, from an address that all may reach, with
// limits of its own for clients, size, hops and room.
func TestLMTPServesItsOwnNetworks(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{
		"lmtpd.trusted_networks":           `["127.0.0.2/32"]`,
		"lmtpd.max_connections_per_client": "1",
		"lmtpd.message_size_limit":         `"64 KiB"`,
		"lmtpd.hop_count_limit":            "3",
	})
	greeting := func(from string) (*smtpConn, string) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.DialContext(testContext(t), "tcp", b.LMTP())
		must(t, err)
		t.Cleanup(func() { c.Close() })
		s := &smtpConn{c, bufio.NewReader(c)}
		line, err := s.reply()
		must(t, err)
		return s, line
	}
	// Trusted for relaying is not trusted to write into mailboxes.
	if _, line := greeting("127.0.0.1"); !strings.HasPrefix(line, "421 4.7.1 ") {
		t.Errorf("a stranger hears %s", line)
	}
	s, line := greeting("127.0.0.2")
	if !strings.HasPrefix(line, "220 ") {
		t.Fatal(line)
	}
	if _, line := greeting("127.0.0.2"); !strings.HasPrefix(line, "421 4.7.0 ") {
		t.Errorf("the second connection hears %s", line)
	}
	_, err := s.command("250", "LHLO mx.example.net")
	must(t, err)
	if _, err := s.command("552 5.3.4", "MAIL FROM:<a@example.net> SIZE=100000"); err != nil {
		t.Error(err)
	}
	for hops, want := range map[int]string{3: "250 ", 4: "554 5.4.6 "} {
		_, err := s.command("250", "MAIL FROM:<a@example.net>")
		must(t, err)
		_, err = s.command("250", "RCPT TO:<%s>", bob)
		must(t, err)
		_, err = s.command("354", "DATA")
		must(t, err)
		text := strings.Repeat("Received: from a by b; Thu, 26 Nov 2026 10:00:00 +0000\r\n", hops) + "Subject: x\r\n\r\nx"
		if _, err := s.command(want, "%s\r\n.", text); err != nil {
			t.Errorf("%d hops: %v", hops, err)
		}
	}
}

// TestLMTPLeavesRoom: it is not LMTP that fills the disk to its end.
func TestLMTPLeavesRoom(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"store.min_free": `"1024 GiB"`})
	s, err := dialSMTP(b.LMTP(), "LHLO")
	must(t, err)
	defer s.Close()
	if _, err := s.command("452 4.3.1", "MAIL FROM:<a@example.net>"); err != nil {
		t.Error(err)
	}
	// What the queue accepted is delivered.
	b.sendOne(t, "a@example.net", bob, "accepted")
	b.waitMail(t, bob, 1)
}
