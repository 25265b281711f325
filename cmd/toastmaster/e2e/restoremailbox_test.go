package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// appendTo appends a message to a mailbox with flags and a date.
func (c *imapConn) appendTo(t *testing.T, box, flags, subject string) {
	t.Helper()
	text := "Subject: " + subject + "\r\n\r\nText of " + subject + ".\r\n"
	c.command(t, fmt.Sprintf("APPEND %s (%s) \"01-Feb-2023 04:05:06 +0000\" {%d+}\r\n%s", box, flags, len(text), text))
}

// find is the number of the message with a subject in the selected mailbox.
func (c *imapConn) find(t *testing.T, subject string) string {
	t.Helper()
	_, seq, _ := strings.Cut(strings.TrimSpace(string(c.command(t, "SEARCH SUBJECT "+subject))), "* SEARCH ")
	return seq
}

var fetchedFlags = regexp.MustCompile(`FLAGS \(([^)]*)\)`)

// seen is what a client sees of a mailbox: of each message subject, flags but \Recent, and
// date.
func (c *imapConn) seen(t *testing.T, box string) string {
	t.Helper()
	c.command(t, "EXAMINE "+box)
	var all []string
	for part := range strings.SplitSeq(string(c.command(t, "FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])")), "* ") {
		flags := fetchedFlags.FindStringSubmatch(part)
		if flags == nil {
			continue
		}
		_, subject, _ := strings.Cut(part, "Subject: ")
		subject, _, _ = strings.Cut(subject, "\r\n")
		if !strings.Contains(part, "Text of "+subject+".") || !strings.Contains(part, "-Feb-2023 04:05:06 +0000") {
			t.Errorf("%s: %s", box, part)
		}
		var kept []string
		for f := range strings.FieldsSeq(flags[1]) {
			if f != `\Recent` {
				kept = append(kept, f)
			}
		}
		all = append(all, subject+"("+strings.Join(kept, " ")+")")
	}
	slices.Sort(all) // files that came in the same second have no order
	return strings.Join(all, " ")
}

// TestRestoreOfOneMailbox into its folder Restored, while the service runs: what was
// purged comes back with flags, keywords and dates, what is there stays, and it can be
// done again; and into a folder, as it was.
func TestRestoreOfOneMailbox(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	c := dialIMAP(t, b.IMAP())
	c.command(t, "LOGIN "+alice+" "+alicesWord)
	c.appendTo(t, "INBOX", `\Seen`, "one")
	c.appendTo(t, "INBOX", `\Flagged work`, "two")
	c.appendTo(t, "INBOX", `\Deleted`, "three")
	c.appendTo(t, "Sent", `\Seen`, "four")
	c.command(t, "CREATE Deep/Er")
	c.appendTo(t, "Deep/Er", `later`, "five")
	backups := filepath.Join(t.TempDir(), "backups")
	_, err := b.Run(ctx, "", "backup", "-q", backups)
	must(t, err)
	restore := func(want string, more ...string) {
		t.Helper()
		out, err := b.Run(ctx, "", append([]string{"restore", "-q", backups, "--mailbox", alice}, more...)...)
		if must(t, err); !strings.Contains(out, want) {
			t.Errorf("restore %v: %q does not say %q", more, out, want)
		}
	}
	wants := func(c *imapConn, boxes map[string]string) {
		t.Helper()
		for box, want := range boxes {
			eventually(t, func() error {
				if got := c.seen(t, box); got != want {
					return errors.New(box + ": " + got + ", want " + want)
				}
				return nil
			})
		}
	}
	all := map[string]string{"Restored": `one(\Seen) three() two(\Flagged work)`, "Restored/Sent": `four(\Seen)`, "Restored/Deep/Er": `five(later)`}
	// A user who has deleted something, logged in all the time.
	c.command(t, "SELECT INBOX")
	c.command(t, "EXPUNGE")
	restore("5 messages of " + alice + " restored into the folder Restored")
	wants(c, all)
	wants(c, map[string]string{"INBOX": `one(\Seen) two(\Flagged work)`})
	restore("0 messages of " + alice + " restored")
	restore("5 were there already")
	wants(c, all)
	// What the owner did there stays, and what was taken away comes again.
	c.command(t, "SELECT Restored")
	c.command(t, "STORE "+c.find(t, "one")+` +FLAGS (\Answered mine)`)
	c.command(t, "STORE "+c.find(t, "two")+` +FLAGS (\Deleted)`)
	c.command(t, "EXPUNGE")
	restore("1 message of " + alice + " restored")
	wants(c, map[string]string{"Restored": `one(\Answered \Seen mine) three() two(\Flagged work)`})

	// An administrator who has removed a mailbox with its mail.
	_, err = b.Run(ctx, "", "mailbox", "remove", alice, "--purge")
	must(t, err)
	if out, err := b.Run(ctx, "", "restore", backups, "--mailbox", alice); err == nil || !strings.Contains(err.Error(), alice+": no such mailbox") {
		t.Errorf("of a mailbox that is not there: %v %s", err, out)
	}
	must(t, b.AddMailbox(ctx, alice, alicesWord))
	restore("5 messages of " + alice + " restored")
	c = dialIMAP(t, b.IMAP())
	c.command(t, "LOGIN "+alice+" "+alicesWord)
	wants(c, all)
	if list := string(c.command(t, `LIST "" *`)); !strings.Contains(list, "Trash") {
		t.Errorf("the default folders are gone: %s", list)
	}
	b.sendOne(t, bob, alice, "new")
	b.waitMail(t, alice, 1)

	// To a folder, and without the service.
	to := filepath.Join(t.TempDir(), "look")
	must(t, b.Stop())
	if out, err := b.Run(ctx, "", "restore", backups, "--mailbox", alice); err == nil {
		t.Errorf("without a service: %s", out)
	}
	restore(to, "--to", to)
	for sub, n := range map[string]int{"cur": 3, ".Sent/cur": 1, ".Deep.Er/cur": 1} {
		names, err := os.ReadDir(filepath.Join(to, sub))
		if must(t, err); len(names) != n {
			t.Errorf("%s: %v", sub, names)
		}
	}
	for want, args := range map[string][]string{
		"nothing is overwritten":             {alice, "--to", to},
		"has no mail of nobody@example.test": {"nobody@example.test", "--to", to + ".2"},
		"mail/elsewhere/alice":               {alice, "--to", to + ".2", "--home", "elsewhere/alice"},
		"exit status 2":                      {"nonsense", "--to", to + ".2"},
	} {
		out, err := b.Run(ctx, "", append([]string{"restore", backups, "--mailbox"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v %s, no %q", args, err, out, want)
		}
	}
	b.start(t)
	// A message whose octets are others is not restored, and named.
	files, err := filepath.Glob(filepath.Join(backups, "2*", "mail", "example.test", "alice", ".Sent", "cur", "*"))
	if must(t, err); len(files) != 1 {
		t.Fatal(files)
	}
	must(t, os.Remove(files[0]))
	must(t, os.WriteFile(files[0], []byte("Subject: forged\n\nText.\n"), 0o600))
	must(t, os.RemoveAll(filepath.Join(b.Maildir(alice), ".Restored.Sent")))
	if out, err := b.Run(ctx, "", "restore", backups, "--mailbox", alice); err == nil || !strings.Contains(err.Error(), filepath.Base(files[0])) {
		t.Errorf("a damaged message: %v %s", err, out)
	}
}
