package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// TestPython: smtplib fills alice's mailbox, imaplib works on it, poplib reads
// what that left.
func TestPython(t *testing.T) {
	t.Parallel()
	python := peers.Need(t, "python3", "python3")
	b := serve(t, nil)
	run := func(script string, addresses ...string) {
		t.Helper()
		path, err := filepath.Abs(filepath.Join("testdata", script))
		must(t, err)
		args := []string{path}
		for _, a := range addresses {
			args = append(args, portOf(t, a))
		}
		if out := client(t, b.dir, "", python, args...); strings.TrimSpace(out) != "ok" {
			t.Fatalf("%s: %s", script, out)
		}
	}
	run("smtp.py", b.SMTP(), b.Submission(), b.Submissions())
	b.waitMail(t, alice, 6)
	report := readFile(t, b.waitMail(t, bob, 1)[0])
	for _, want := range []string{"Content-Type: multipart/report", "Original-Envelope-Id: python+1", "Action: delivered", "Final-Recipient: rfc822; alice@example.test"} {
		if !strings.Contains(strings.ToLower(report), strings.ToLower(want)) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	run("imap.py", b.IMAP(), b.IMAPS())
	run("pop3.py", b.POP3(), b.POP3S())
	b.waitMail(t, alice, 4)
}
