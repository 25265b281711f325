package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// TestContentChecks: what tables say of a header and a body is done to the message, by DATA and
// by sendmail; a table that is changed is obeyed without a restart, one that is not there stops
// the start, and one that cannot answer lets nothing pass.
func TestContentChecks(t *testing.T) {
	t.Parallel()
	dir := peers.TempDir(t)
	headers := filepath.Join(dir, "headers")
	write := func(text string) {
		t.Helper()
		must(t, os.WriteFile(headers+".new", []byte(text), 0o644))
		must(t, os.Rename(headers+".new", headers))
	}
	const rules = "/^Received:.*client.example/ IGNORE\n/^Subject: spam/ REJECT 5.7.25 no spam\n/^Subject: to bob/ REDIRECT bob@example.test\n/^Subject: wait/ HOLD\n" +
		"/^Subject: replace (.*)/ REPLACE Subject: replaced $1\n/name=\"?.*\\.exe/ REJECT no programs\n"
	write(rules)
	b := serve(t, map[string]string{
		"cleanup.header_checks": `["pcre:` + headers + `"]`,
		"cleanup.body_checks":   `["pcre:{ {/^(.*)secret(.*)$/ REPLACE ${1}...$2}, {/nobody answers/ DUNNO} }", "pcre:{ {/evil/ REJECT} }"]`,
	})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer func() { s.Close() }()
	send := func(text string) error {
		_, err := s.send("x@elsewhere.example", []string{alice}, "From: <x@elsewhere.example>\r\n"+strings.ReplaceAll(text, "\n", "\r\n"))
		if err != nil {
			_, reset := s.command("250", "RSET")
			must(t, reset)
		}
		return err
	}
	refused := func(text, want string) {
		t.Helper()
		if err := send(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	refused("Subject: spam\n\nx\n", "550 5.7.25 no spam")
	refused("Subject: x\n\nsome evil\n", "550 5.7.1 message content rejected")
	refused("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/octet-stream;\n\tname=\"a.exe\"\n\nx\n--b--\n", "550 5.7.1 no programs")
	must(t, send("Subject: to bob\n\nx\n"))
	b.waitMail(t, bob, 1)
	must(t, send("Subject: replace this\n\nfirst\na secret word\nnobody answers\n"))
	text := readFile(t, b.waitMail(t, alice, 1)[0])
	if strings.Contains(text, "Received:") || !strings.HasSuffix(text, "From: <x@elsewhere.example>\nSubject: replaced this\n\nfirst\na ... word\nnobody answers\n") {
		t.Errorf("%q", text)
	}
	must(t, send("Subject: wait\n\nx\n"))
	out, err := b.Run(testContext(t), "", "queue", "list", "--json", "--place", "hold")
	if must(t, err); !strings.Contains(out, "x@elsewhere.example") {
		t.Errorf("not on hold: %s", out)
	}
	if code, _, errs := newSendmail(t, b).run(t, "Subject: spam\n\nx\n", "-f", alice, bob); code == 0 || !strings.Contains(errs, "no spam") {
		t.Errorf("sendmail: %d %s", code, errs)
	}
	write(rules + "/^Subject: (late)/ REJECT changed for $1\n")
	eventually(t, func() error {
		if err := send("Subject: late\n\nx\n"); err == nil || !strings.Contains(err.Error(), "550 5.7.1 changed for late") {
			return fmt.Errorf("the new table is not asked: %v", err)
		}
		return nil
	})
}

// TestContentChecksThatCannotBeAsked: config check names the parameter and the file, or the line in
// it; a server of tables that is down lets nothing pass.
func TestContentChecksThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	rules := filepath.Join(peers.TempDir(t), "rules")
	must(t, os.WriteFile(rules, []byte("/fine/ DUNNO\n/(/ REJECT\n"), 0o644))
	b := serve(t, map[string]string{"cleanup.nested_header_checks": `["tcp:127.0.0.1:1"]`})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.send("x@elsewhere.example", []string{alice}, "Subject: x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n")
	if err == nil || !strings.Contains(err.Error(), "451 4.3.0 Temporary failure while checking the content") {
		t.Error(err)
	}
	for table, want := range map[string]string{"pcre:" + rules: rules + ":2", "pcre:" + rules + ".none": "no such file"} {
		if _, err := b.Run(testContext(t), "", "config", "set", "cleanup.body_checks", `["`+table+`"]`); err == nil || !strings.Contains(err.Error(), "cleanup.body_checks") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", table, err)
		}
	}
}
