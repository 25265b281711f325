package e2e

import (
	"strings"
	"testing"
)

// TestPostmasterOfAFreshInstance writes to postmaster from outside of the
// trusted networks, as RFC 5321 section 4.5.1 promises, after a plain init.
func TestPostmasterOfAFreshInstance(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"main.trusted_networks": `["192.0.2.0/24"]`})
	c, err := dialSMTP(b.SMTP(), "HELO")
	must(t, err)
	defer c.Close()
	for i, to := range []string{"Postmaster", "postmaster@mx.example.test", "postmaster@example.test"} {
		for _, step := range [][2]string{
			{"250", "MAIL FROM:<a@example.net>"}, {"250", "RCPT TO:<" + to + ">"},
			{"354", "DATA"}, {"250", "Subject: hello\r\n\r\nx\r\n."},
		} {
			_, err := c.command(step[0], "%s", step[1])
			must(t, err)
		}
		b.waitMail(t, "postmaster@mx.example.test", i+1)
	}
	text := b.LogTail(1 << 20)
	if strings.Contains(text, "smtpd.postmaster") {
		t.Errorf("a fresh instance warns:\n%s", text)
	}
}

// TestPostmasterWarnings: a configuration that refuses postmaster is told of.
func TestPostmasterWarnings(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"main.hostname": `"other.example.test"`, "smtpd.postmaster": `""`})
	if text := b.LogTail(1 << 20); !strings.Contains(text, "smtpd.postmaster: not set") {
		t.Errorf("no warning at the start:\n%s", text)
	}
	must(t, b.AddDomain(testContext(t), "other.example.test"))
	must(t, b.AddMailbox(testContext(t), "postmaster@other.example.test", "secret-word"))
	must(t, b.Stop())
	b.start(t)
	if text := b.LogTail(1 << 20); strings.Count(text, "smtpd.postmaster") != 1 {
		t.Errorf("a warning although postmaster is hosted:\n%s", text)
	}
}
