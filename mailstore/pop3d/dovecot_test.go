package pop3d

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/peers"
)

// TestMoveFromDovecot serves a Maildir that Dovecot has served, and compares
// what a client sees: unique ids, sizes, and every octet.
func TestMoveFromDovecot(t *testing.T) {
	peers.Need(t, "dovecot", "dovecot-pop3d")
	peers.NeedRoot(t, "Dovecot's master changes users")
	bob := peers.Account{Address: "bob@example.test", Password: "secret word"}
	dovecot, err := peers.StartDovecot(t.Context(), peers.DovecotOptions{Dir: peers.TempDir(t), Accounts: []peers.Account{bob}})
	if err != nil {
		t.Fatal(err)
	}
	defer dovecot.Stop()
	theirs := dovecot.Maildir(bob.Address)
	uid, gid, err := dovecot.MailUser()
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range []string{first, second, third, big(200_000)} {
		name := filepath.Join(theirs, "new", string(rune('a'+i))+".test")
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(m), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"cur", "tmp"} {
		if err := os.MkdirAll(filepath.Join(theirs, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	chownAll(t, theirs, uid, gid)
	conn, err := net.Dial("tcp", dovecot.POP3())
	if err != nil {
		t.Fatal(err)
	}
	want := everything(t, conn)
	dovecot.Stop()

	h := newHost(t, nil)
	home := filepath.Join(storeRoot(h), "example.test")
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(home, "bob"), os.DirFS(theirs)); err != nil {
		t.Fatal(err)
	}
	if got := everything(t, h.Dial(0)); got != want {
		t.Errorf("Dovecot:\n%.2000s\nhere:\n%.2000s", want, got)
	}
}

func chownAll(t *testing.T, root string, uid, gid int) {
	t.Helper()
	err := filepath.Walk(root, func(name string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(name, uid, gid)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// everything is what a client learns and retrieves, without the texts of
// replies, which are everybody's own.
func everything(t *testing.T, conn net.Conn) string {
	t.Helper()
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	c := &client{t, conn, bufio.NewReader(conn)}
	c.expect("+OK")
	c.ask("USER bob@example.test", "+OK")
	c.ask("PASS secret word", "+OK")
	var b strings.Builder
	b.WriteString(c.ask("STAT", "+OK") + "\n")
	for _, command := range []string{"LIST", "UIDL", "TOP 1 1", "TOP 2 0", "TOP 3 9", "RETR 1", "RETR 2", "RETR 3", "RETR 4"} {
		c.ask(command, "+OK")
		text, _ := c.body()
		b.WriteString(command + "\n" + text)
	}
	c.ask("QUIT", "+OK")
	return b.String()
}
