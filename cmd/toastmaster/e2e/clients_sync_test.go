package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

const mbsyncrc = `IMAPAccount server
Host 127.0.0.1
Port %s
User alice@example.test
Pass wonderland
SSLType IMAPS
CertificateFile %s

IMAPStore remote
Account server

MaildirStore local
Path %s/
Inbox %[3]s/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Expunge Both
Remove Both
CopyArrivalDate yes
SyncState *
`

// TestMbsync keeps two local trees in step through the server: what one
// changes, the other sees.
func TestMbsync(t *testing.T) {
	t.Parallel()
	mbsync := peers.Need(t, "mbsync", "isync")
	b := serve(t, nil)
	cert := b.certFile(t)
	var homes []string
	for _, name := range []string{"one", "two"} {
		home := filepath.Join(b.dir, name)
		must(t, os.Mkdir(home, 0o755))
		must(t, os.WriteFile(filepath.Join(home, "rc"), fmt.Appendf(nil, mbsyncrc, portOf(t, b.IMAPS()), cert, home), 0o600))
		homes = append(homes, home)
	}
	sync := func(home string) { t.Helper(); client(t, home, "", mbsync, "-c", "rc", "-V", "all") }
	for i := range 30 {
		b.sendOne(t, bob, alice, fmt.Sprintf("number %d", i))
	}
	b.waitMail(t, alice, 30)

	sync(homes[0])
	sync(homes[1])
	inbox := filepath.Join(homes[0], "INBOX")
	local := maildirFiles(t, inbox)
	if got, want := contents(t, local), contents(t, b.mail(t, alice, "")); !slices.Equal(got, want) {
		t.Fatalf("%d local messages differ from %d on the server", len(got), len(want))
	}

	// A flag, a deletion, a new message, a new folder: made in one ...
	must(t, os.Rename(local[0], filepath.Join(inbox, "cur", strings.Split(filepath.Base(local[0]), ":2,")[0]+":2,FS")))
	trashed := contents(t, local[1:2])[0]
	must(t, os.Rename(local[1], filepath.Join(inbox, "cur", strings.Split(filepath.Base(local[1]), ":2,")[0]+":2,ST")))
	must(t, os.WriteFile(filepath.Join(inbox, "new", "1767225600.1_1.local"), []byte("Subject: made here\nMessage-ID: <made@here>\n\nText.\n"), 0o600))
	for _, sub := range []string{"cur", "new", "tmp"} {
		must(t, os.MkdirAll(filepath.Join(homes[0], "Project", sub), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(homes[0], "Project", "cur", "1767225600.2_1.local:2,S"), []byte("Subject: filed here\n\nText.\n"), 0o600))
	sync(homes[0])
	// ... seen on the server ...
	server := b.mail(t, alice, "")
	if len(server) != 30 || slices.Contains(contents(t, server), trashed) || !slices.ContainsFunc(contents(t, server), func(s string) bool { return strings.HasPrefix(s, "Subject: made here\n") }) {
		t.Errorf("the server has %d messages", len(server))
	}
	if n := len(b.mail(t, alice, "Project")); n != 1 {
		t.Errorf("%d messages in the new folder", n)
	}
	// ... and in the other, with its flags.
	sync(homes[1])
	other := maildirFiles(t, filepath.Join(homes[1], "INBOX"))
	if got, want := contents(t, other), contents(t, server); !slices.Equal(got, want) {
		t.Errorf("the second tree has %d messages, the server %d", len(got), len(want))
	}
	if n := len(maildirFiles(t, filepath.Join(homes[1], "Project"))); n != 1 {
		t.Errorf("%d messages in the second tree's new folder", n)
	}
	flagged := slices.DeleteFunc(other, func(f string) bool { return !strings.HasSuffix(f, ":2,FS") })
	if len(flagged) != 1 {
		t.Errorf("flagged: %v", flagged)
	}
}

// contents returns the texts of message files, sorted, without the line that
// mbsync adds to recognise what it has uploaded.
func contents(t *testing.T, files []string) []string {
	t.Helper()
	var all []string
	for _, f := range files {
		var kept strings.Builder
		for line := range strings.Lines(readFile(t, f)) {
			if !strings.HasPrefix(line, "X-TUID: ") {
				kept.WriteString(line)
			}
		}
		all = append(all, kept.String())
	}
	slices.Sort(all)
	return all
}

// TestFetchmail empties a mailbox by POP3 and another by IMAP.
func TestFetchmail(t *testing.T) {
	t.Parallel()
	fetchmail := peers.Need(t, "fetchmail", "fetchmail")
	b := serve(t, nil)
	for i := range 20 {
		b.sendOne(t, "a@example.net", alice, fmt.Sprintf("pop %d", i))
		b.sendOne(t, "a@example.net", bob, fmt.Sprintf("imap %d", i))
	}
	b.waitMail(t, alice, 20)
	b.waitMail(t, bob, 20)
	for _, c := range []struct{ protocol, address, user, word, subject string }{
		{"pop3", b.POP3(), alice, alicesWord, "pop"}, {"imap", b.IMAP(), bob, bobsWord, "imap"},
	} {
		home := filepath.Join(b.dir, c.protocol)
		must(t, os.Mkdir(home, 0o755))
		rc := fmt.Sprintf("set no bouncemail\npoll 127.0.0.1 protocol %s service %s uidl timeout 30\n  user %q password %q ssl_placeholder fetchall no keep\n  mda \"cat >>%s/got\"\n",
			c.protocol, portOf(t, c.address), c.user, c.word, home)
		if c.protocol == "imap" {
			rc = strings.Replace(rc, " uidl", "", 1)
		}
		// STARTTLS with any certificate.
		rc = strings.Replace(rc, "ssl_placeholder", "sslproto TLS1+ no sslcertck", 1)
		must(t, os.WriteFile(filepath.Join(home, "rc"), []byte(rc), 0o600))
		out := client(t, home, "", fetchmail, "-f", "rc", "--pidfile", filepath.Join(home, "pid"), "-v")
		got := readFile(t, filepath.Join(home, "got"))
		for i := range 20 {
			if n := strings.Count(got, fmt.Sprintf("\nSubject: %s %d\n", c.subject, i)); n != 1 {
				t.Errorf("%s %d came %d times\n%s", c.protocol, i, n, out)
			}
		}
		if n := len(b.mail(t, c.user, "")); n != 0 {
			t.Errorf("%s: %d messages left", c.protocol, n)
		}
	}
}
