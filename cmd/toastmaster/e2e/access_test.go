package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// TestAccessTables: what access tables say is done to the message: a field on top of it, hold over
// a SIGKILL until its release, another way; a refusal, a discard; and a table that is changed is
// obeyed without a restart.
func TestAccessTables(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "mx.remote.example", "", "filtered@example.test")
	senders := filepath.Join(peers.TempDir(t), "senders")
	write := func(text string) {
		t.Helper()
		must(t, os.WriteFile(senders+".new", []byte(text), 0o644))
		must(t, os.Rename(senders+".new", senders))
	}
	const lines = "# who may send\nprepend@example.net  PREPEND X-Seen: by the table\nhold.test  HOLD have a look\nhold@  PREPEND X-Held: yes\n" +
		"bad@example.net  REJECT 5.7.25 go away\nspam@example.net DISCARD\nstrict@example.net strict\n"
	write(lines + "filter@example.net  FILTER smtp:[127.0.0.1]:" + strconv.Itoa(p.Port25()) + "\n")
	b := serve(t, map[string]string{
		"smtpd.error_limit": "1000", "smtpd.junk_limit": "1000", "smtpd.soft_error_limit": "1000",
		"smtpd.client_restrictions": `["check_client_access cidr:{ {127.0.0.0/8 DUNNO}, {0.0.0.0/0 REJECT} }"]`,
		"smtpd.sender_restrictions": `["check_sender_access texthash:` + senders + `"]`,
	})
	must(t, b.AddMailbox(testContext(t), "filtered@example.test", bobsWord))
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer func() { s.Close() }()
	send := func(from, to string) error {
		_, err := s.send(from, []string{to}, "From: <"+from+">\r\nSubject: from "+from+"\r\n\r\ntext\r\n")
		if err != nil {
			_, reset := s.command("250", "RSET")
			must(t, reset)
		}
		return err
	}
	must(t, send("prepend@example.net", alice))
	if text := readFile(t, b.waitMail(t, alice, 1)[0]); !strings.Contains(text, "\nX-Seen: by the table\nReceived: from ") {
		t.Errorf("%s", text)
	}
	must(t, send("filter@example.net", "filtered@example.test"))
	waitPeerMail(t, p, "filtered@example.test", 1)
	if err := send("bad@example.net", alice); err == nil || !strings.Contains(err.Error(), "554 5.7.25 <bad@example.net>: Sender address rejected: go away") {
		t.Error(err)
	}
	// A class that there is not is the operator's mistake, and is not the sender's.
	if err := send("strict@example.net", alice); err == nil || !strings.Contains(err.Error(), "451 4.3.5 Server configuration error") {
		t.Error(err)
	}
	must(t, send("spam@example.net", "x@elsewhere.example"))
	must(t, send("x@hold.test", bob))
	s.Close()

	b.Kill()
	b.start(t)
	out, err := b.Run(testContext(t), "", "queue", "list", "--json", "--place", "hold")
	if must(t, err); !strings.Contains(out, "x@hold.test") {
		t.Fatalf("not on hold: %s", out)
	}
	if _, err := b.Run(testContext(t), "", "queue", "release", "--all"); err != nil {
		t.Fatal(err)
	}
	b.waitMail(t, bob, 1)
	b.queueEmpty(t)

	write(lines + "good@example.net  REJECT changed\n")
	if s, err = dialSMTP(b.SMTP(), "EHLO"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if err := send("good@example.net", "nobody@example.test"); err == nil || !strings.Contains(err.Error(), "changed") {
			return err
		}
		return nil
	})
}
