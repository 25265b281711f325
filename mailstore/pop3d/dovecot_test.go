package pop3d

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
	"toastmaster/mailstore/storetest"
)

// TestMoveFromDovecot serves a Maildir that Dovecot has served, and compares
// what a client sees: unique ids, sizes, and every octet. The second time the
// files are compressed, by a script for the first and by the zlib plugin for
// the others.
func TestMoveFromDovecot(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		t.Run(fmt.Sprintf("compressed=%v", compressed), func(t *testing.T) { moveFromDovecot(t, compressed) })
	}
}

func moveFromDovecot(t *testing.T, compressed bool) {
	peers.Need(t, "dovecot", "dovecot-pop3d")
	peers.NeedRoot(t, "Dovecot's master changes users")
	bob := peers.Account{Address: "bob@example.test", Password: "secret word"}
	dovecot, err := peers.StartDovecot(t.Context(), peers.DovecotOptions{Dir: peers.TempDir(t), Accounts: []peers.Account{bob}, Conf: "mail_plugins = zlib\n"})
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
		if compressed {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, err := w.Write([]byte(m))
			if err = errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			name += fmt.Sprintf(",S=%d", len(m))
			if i == 0 {
				name += ":2,Z"
			} else {
				name += fmt.Sprintf(",W=%d", len(m)+strings.Count(m, "\n"))
			}
			m = b.String()
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

// TestSavedUIDLs moves a host from a Dovecot that saved its unique ids, two of
// them the same, and back to one that makes others: no client sees a change.
func TestSavedUIDLs(t *testing.T) {
	peers.Need(t, "dovecot", "dovecot-pop3d")
	peers.NeedRoot(t, "Dovecot's master changes users")
	bob := peers.Account{Address: "bob@example.test", Password: "secret word"}
	start := func(conf string) (*peers.Dovecot, string) {
		t.Helper()
		d, err := peers.StartDovecot(t.Context(), peers.DovecotOptions{Dir: peers.TempDir(t), Accounts: []peers.Account{bob}, Conf: conf})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Stop)
		return d, d.Maildir(bob.Address)
	}
	old, theirs := start("protocol pop3 {\n  pop3_save_uidl = yes\n  pop3_uidl_format = old-%g\n}\n")
	for i, m := range []string{first, second, third} {
		write(t, filepath.Join(theirs, "new", fmt.Sprintf("100000000%d.test", i)), m)
	}
	own(t, old, theirs)
	want := uidls(t, dial(t, old.POP3()))
	if len(want) != 3 || !strings.HasPrefix(want[0], "old-") {
		t.Fatalf("%q", want)
	}
	// A second one with the id of the first, as after a restore.
	list := filepath.Join(theirs, "dovecot-uidlist")
	data, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	twice := strings.Replace(string(data), want[1], want[0], 1)
	if twice == string(data) {
		t.Fatalf("no saved ids in %s", data)
	}
	write(t, list, twice)
	own(t, old, theirs)
	want = uidls(t, dial(t, old.POP3()))
	if want[0] != want[1] {
		t.Errorf("Dovecot: %q", want)
	}
	old.Stop()

	h := newHost(t, nil)
	home := filepath.Join(storeRoot(h), "example.test", "bob")
	if err := os.CopyFS(home, os.DirFS(theirs)); err != nil {
		t.Fatal(err)
	}
	h.deliver("bob", "Subject: new\n\nx\n")
	mine := uidls(t, h.Dial(0))
	if len(mine) != 4 || !slices.Equal(mine[:3], want) {
		t.Errorf("Dovecot: %q\nhere: %q", want, mine)
	}
	want = append(want[1:], mine[3]) // uidls deletes the first
	copyFirst(t, h)
	mine = uidls(t, h.Dial(0), "keep")
	if len(mine) != 4 || !slices.Equal(mine[:3], want) || mine[3] == want[0] {
		t.Errorf("after changes: %q, want %q and another", mine, want)
	}
	want = mine
	h.Finish()
	h.closeStore()
	again := newHost(t, nil) // the index is not there
	rebuilt := filepath.Join(storeRoot(again), "example.test", "bob")
	for _, name := range []string{"toastmaster.index", "toastmaster.index.log", "toastmaster.cache"} {
		if err := os.Remove(filepath.Join(home, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(rebuilt, os.DirFS(home)); err != nil {
		t.Fatal(err)
	}
	if mine = uidls(t, again.Dial(0), "keep"); !slices.Equal(mine, want) {
		t.Errorf("after a rebuild: %q, want %q", mine, want)
	}
	back, theirs := start("")
	if err := os.CopyFS(theirs, os.DirFS(home)); err != nil {
		t.Fatal(err)
	}
	own(t, back, theirs)
	if got := uidls(t, dial(t, back.POP3()), "keep"); !slices.Equal(got, want) {
		t.Errorf("back at Dovecot: %q, want %q", got, want)
	}
}

func copyFirst(t *testing.T, h *host) {
	t.Helper()
	user, err := h.store.User(t.Context(), storetest.Account(t, "bob"))
	if err != nil {
		t.Fatal(err)
	}
	view, err := user.Open(t.Context(), "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = view.Copy(t.Context(), []uint32{1}, "INBOX")
	if err := errors.Join(err, view.Close(), user.Close()); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func own(t *testing.T, d *peers.Dovecot, root string) {
	t.Helper()
	uid, gid, err := d.MailUser()
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	chownAll(t, root, uid, gid)
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// uidls lists the unique ids of a whole UIDL, compares each with that of UIDL n,
// and deletes the first message of four.
func uidls(t *testing.T, conn net.Conn, keep ...string) (ids []string) {
	t.Helper()
	defer func() { _ = conn.Close() }()
	c := &client{t, conn, bufio.NewReader(conn)}
	c.expect("+OK")
	c.ask("USER bob@example.test", "+OK")
	c.ask("PASS secret word", "+OK")
	c.ask("UIDL", "+OK")
	text, _ := c.body()
	for line := range strings.Lines(text) {
		number, id, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if one := c.ask("UIDL "+number, "+OK"); !strings.HasSuffix(one, " "+id) {
			t.Errorf("%s, but %s in the list", one, id)
		}
		ids = append(ids, id)
	}
	if len(ids) == 4 && len(keep) == 0 {
		c.ask("DELE 1", "+OK")
	}
	c.ask("QUIT", "+OK")
	return ids
}
