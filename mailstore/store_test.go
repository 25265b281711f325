package mailstore

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/volume"
)

// defaults are made once: hundreds of stores are opened.
var defaults = sync.OnceValue(configs.Default)

func options(root string) Options {
	c := defaults().Store
	c.JournalSegment = 1 << 20 // made and synced at each Open
	return Options{Root: root, FS: vfs.OS{}, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "host.test", Store: c}
}

func openStore(t testing.TB, root string) *Store {
	t.Helper()
	s, err := Open(t.Context(), options(root))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const uidListFile = "dovecot-uidlist"

func alice() Account { return Account{Home: "example.test/alice"} }

func openUser(t testing.TB, s *Store) *User {
	t.Helper()
	u, err := s.User(t.Context(), alice())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func openView(t testing.TB, u *User, name string) *View {
	t.Helper()
	v, err := u.Open(t.Context(), name, false)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func message(n string) envelope.Memory {
	return envelope.Memory("From: a@example.test\nSubject: " + n + "\n\nbody of " + n + "\n")
}

func deliver(t testing.TB, s *Store, d Delivery) {
	t.Helper()
	if d.Content == nil {
		d.Content = message("x")
	}
	if err := s.Deliver(t.Context(), alice(), &d); err != nil {
		t.Fatal(err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func readAllOf(t testing.TB, v *View, seq uint32) string {
	t.Helper()
	c, err := v.Read(t.Context(), seq)
	check(t, err)
	defer c.Close()
	b, err := io.ReadAll(envelope.Reader(c))
	check(t, err)
	return string(b)
}

func update(t testing.TB, v *View, expunge bool) Update {
	t.Helper()
	u, err := v.Update(t.Context(), expunge)
	check(t, err)
	return u
}

// updateUntil updates until others' changes are seen: a change in the same
// volume.Tick of the file system's clock as our last look takes until the next.
func updateUntil(t testing.TB, v *View, expunge bool, ok func(Update) bool) {
	t.Helper()
	var got Update
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(volume.Tick / 10) {
		if got = update(t, v, expunge); ok(got) {
			return
		}
	}
	t.Fatalf("not seen: %+v", got)
}

func TestWayOfAMessage(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openStore(t, root)
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	deliver(t, s, Delivery{ID: "abc1", Prefix: []byte("Return-Path: <>\n"), Content: message("one")})
	select {
	case <-v.Changed():
	case <-time.After(30 * time.Second):
		t.Fatal("the view was not told")
	}
	got := update(t, v, true)
	if got.Exists != 1 || got.Recent != 1 {
		t.Fatalf("%+v", got)
	}
	m := v.Message(1)
	want := "Return-Path: <>\n" + string(message("one"))
	if m.UID != 1 || !m.Recent || m.Size != int64(len(want)+strings.Count(want, "\n")) {
		t.Fatalf("%+v", m)
	}
	if got := readAllOf(t, v, 1); got != want {
		t.Fatalf("%q", got)
	}
	if b, err := recordOf(t.Context(), v, 1); err != nil || len(b) == 0 {
		t.Fatalf("%q %v", b, err)
	}
	if _, err := v.SetFlags(t.Context(), []uint32{1}, FlagsAdd, []imap.Flag{imap.FlagSeen, "work"}, 0); err != nil {
		t.Fatal(err)
	}
	if f := v.Message(1).Flags; len(f) != 2 || f[0] != imap.FlagSeen || f[1] != "work" {
		t.Fatalf("%v", f)
	}
	validity, uid, err := u.Append(t.Context(), "Sent", []imap.Flag{imap.FlagDraft}, time.Unix(1e9, 0), message("two"))
	if err != nil || validity == 0 || uid != 1 {
		t.Fatal(validity, uid, err)
	}
	st, err := u.Status(t.Context(), "INBOX")
	if err != nil || st.Messages != 1 || st.Unseen != 0 || st.UIDNext != 2 {
		t.Fatalf("%+v %v", st, err)
	}
	if _, uids, err := v.Move(t.Context(), []uint32{1}, "Archive"); err != nil || len(uids) != 1 {
		t.Fatal(uids, err)
	}
	if got := update(t, v, true); len(got.Expunged) != 1 || v.Len() != 0 {
		t.Fatalf("%+v", got)
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())

	s = openStore(t, root)
	u = openUser(t, s)
	v = openView(t, u, "Archive")
	if v.Len() != 1 || readAllOf(t, v, 1) != want || len(v.Message(1).Flags) != 2 {
		t.Fatalf("%+v", v.Message(1))
	}
	list, err := u.List(t.Context())
	if err != nil || len(list) != 6 || list[0].Name != "INBOX" || list[1].SpecialUse != imap.MailboxAttrArchive {
		t.Fatalf("%+v %v", list, err)
	}
	check(t, v.Close())
	v = openView(t, u, "Sent")
	if m := v.Message(1); !m.Date.Equal(time.Unix(1e9, 0)) {
		t.Fatalf("%+v", m)
	}
	check(t, v.Expunge(t.Context(), []uint32{1}))
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}

func TestOtherProgramsChanges(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openStore(t, root)
	u := openUser(t, s)
	deliver(t, s, Delivery{Content: message("one")})
	deliver(t, s, Delivery{Content: message("two")})
	v := openView(t, u, "inbox")
	home := filepath.Join(root, alice().Home)
	check(t, os.WriteFile(filepath.Join(home, "new", "1000000000.M1P1.mutt"), message("three"), 0o600))
	// A change in the same volume.Tick as our own is seen one volume.Tick later.
	updateUntil(t, v, true, func(got Update) bool { return got.Exists == 3 })
	if got := readAllOf(t, v, 3); got != string(message("three")) {
		t.Fatal(got)
	}
	check(t, os.Rename(filepath.Join(home, "new", "1000000000.M1P1.mutt"), filepath.Join(home, "cur", "1000000000.M1P1.mutt:2,FS")))
	updateUntil(t, v, true, func(got Update) bool { return len(got.Flags) == 1 && len(v.Message(3).Flags) == 2 })
	check(t, os.Remove(filepath.Join(home, "cur", "1000000000.M1P1.mutt:2,FS")))
	updateUntil(t, v, true, func(got Update) bool { return len(got.Expunged) == 1 && v.Len() == 2 })
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}

// recordOf is the record of a message as it is written.
func recordOf(ctx context.Context, v *View, seq uint32) ([]byte, error) {
	var m mime.Message
	if err := v.Record(ctx, seq, &m, false); err != nil {
		return nil, err
	}
	return m.AppendBinary(nil), nil
}
