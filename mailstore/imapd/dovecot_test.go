package imapd

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// oracle is a client of Dovecot whose INBOX has the same messages as alice's.
func oracle(t *testing.T, messages []string) *client {
	t.Helper()
	peers.NeedRoot(t, "Dovecot")
	peers.Need(t, "dovecot", "dovecot-imapd")
	alice := peers.Account{Address: "alice@example.test", Password: "secret word"}
	d, err := peers.StartDovecot(t.Context(), peers.DovecotOptions{Dir: peers.TempDir(t), Accounts: []peers.Account{alice}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Stop)
	uid, gid, err := d.MailUser()
	if err != nil {
		t.Fatal(err)
	}
	home := d.Maildir(alice.Address)
	for _, dir := range []string{"", "tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(home, dir), uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range messages {
		name := filepath.Join(home, "new", fmt.Sprintf("%d.M%d.test", 1767323045+i, i))
		if err := os.WriteFile(name, []byte(m), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(name, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := net.Dial("tcp", d.IMAP())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &client{t: t, Conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
	c.expect("* OK [CAPABILITY IMAP4rev1 ")
	c.ok(`LOGIN alice@example.test "secret word"`)
	c.ok("SELECT INBOX")
	return c
}

// corpus are the messages of internal/mime, and the names of their files.
func corpus(t *testing.T, kinds ...string) (names, messages []string) {
	t.Helper()
	for _, kind := range kinds {
		files, err := filepath.Glob(filepath.Join("..", "..", "internal", "mime", "testdata", kind, "*.eml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d messages: %v", kind, len(files), err)
		}
		slices.Sort(files)
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			names, messages = append(names, kind+"/"+strings.TrimSuffix(filepath.Base(name), ".eml")), append(messages, string(b))
		}
	}
	return names, messages
}

// TestLikeDovecot asks Dovecot and us for the same pieces of the same messages.
func TestLikeDovecot(t *testing.T) {
	t.Parallel()
	names, messages := corpus(t, "dovecot")
	h := newHost(t, nil)
	h.deliver("alice", messages...)
	d, c := oracle(t, messages), h.login("alice", "INBOX")
	for _, one := range []*client{d, c} {
		one.ok(`STORE 1:* +FLAGS.SILENT (\Seen)`)
	}
	for i, name := range names {
		for _, item := range []string{
			"RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "BODY", "RFC822", "RFC822.HEADER", "RFC822.TEXT", "BODY[]", "BODY[HEADER]", "BODY[TEXT]",
			"BODY[HEADER.FIELDS (SUBJECT X-NO)]", "BODY[HEADER.FIELDS.NOT (SUBJECT)]",
			"BODY[1]", "BODY[1.MIME]", "BODY[1.HEADER]", "BODY[1.TEXT]", "BODY[1.HEADER.FIELDS (SUBJECT)]", "BODY[1.HEADER.FIELDS.NOT (SUBJECT)]",
			"BODY[1.1]", "BODY[1.1.MIME]", "BODY[1.1.HEADER]", "BODY[1.1.1]", "BODY[2]", "BODY[2.MIME]", "BODY[2.HEADER]", "BODY[2.TEXT]",
			"BODY[2.1]", "BODY[2.1.MIME]", "BODY[3]", "BODY[3.MIME]", "BODY[9]", "BODY[9.MIME]",
		} {
			partials := []string{""}
			if strings.HasSuffix(item, "]") {
				partials = []string{"", "<0.3>", "<2.5>", "<100000.1>"}
			}
			for _, partial := range partials {
				command := fmt.Sprintf("FETCH %d %s%s", i+1, item, partial)
				want, wantTagged := d.run(command)
				got, gotTagged := c.run(command)
				switch {
				case strings.HasSuffix(got[0], " NIL)"):
					continue // Dovecot sends an empty string for a part that there is not
				case (name == "dovecot/boundary-in-header" || name == "dovecot/mp-emptyparts") && strings.Contains(item, "MIME"), name == "dovecot/no-line-end" && strings.Contains(item, "NOT"):
					continue // a header without its end: whose the last line end is
				case strings.HasSuffix(name, "empty") && strings.Contains(item, "FIELDS"):
					continue // Dovecot ends an empty header with an empty line in one of two ways
				}
				if fmt.Sprint(want) != fmt.Sprint(got) {
					t.Errorf("%s: %s%s\ngot  %q %s\nwant %q %s", name, item, partial, got, gotTagged, want, wantTagged)
				}
			}
		}
	}
}
