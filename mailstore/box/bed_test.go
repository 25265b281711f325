package box_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func options(root string) mailstore.Options {
	c := configs.Default().Store
	c.JournalSegment, c.DefaultFolders = 1<<20, nil
	return mailstore.Options{Root: root, FS: vfs.OS{}, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "host.test", Store: c}
}

func alice() mailstore.Account { return mailstore.Account{Home: "example.test/alice"} }

// home is a file in alice's.
func home(root string, parts ...string) string {
	return filepath.Join(append([]string{root, alice().Home}, parts...)...)
}

// open opens a store and alice's account in it, until the test ends.
func open(t testing.TB, o mailstore.Options) (*mailstore.Store, *mailstore.User) {
	t.Helper()
	s, err := mailstore.Open(t.Context(), o)
	check(t, err)
	u, err := s.User(t.Context(), alice())
	check(t, err)
	t.Cleanup(func() { check(t, errors.Join(u.Close(), s.Close())) })
	return s, u
}

// inbox is a view of INBOX, until the test ends.
func inbox(t testing.TB, u *mailstore.User) *mailstore.View {
	t.Helper()
	v, err := u.Open(t.Context(), "INBOX", false)
	check(t, err)
	t.Cleanup(func() { check(t, v.Close()) })
	return v
}

func message(n string) envelope.Memory {
	return envelope.Memory("From: a@example.test\nSubject: " + n + "\n\nbody of " + n + "\n")
}

func deliver(t testing.TB, s *mailstore.Store, text string) {
	t.Helper()
	check(t, s.Deliver(t.Context(), alice(), &mailstore.Delivery{Content: message(text)}))
}

func readAllOf(t testing.TB, v *mailstore.View, seq uint32) string {
	t.Helper()
	c, err := v.Read(t.Context(), seq)
	check(t, err)
	defer c.Close()
	b, err := io.ReadAll(envelope.Reader(c))
	check(t, err)
	return string(b)
}

func gzipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	check(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

// foreign makes a mailbox of another program's for alice.
func foreign(t testing.TB, root string) {
	t.Helper()
	for _, dir := range []string{home(root, "cur"), home(root, "new"), home(root, "tmp"), filepath.Join(root, mailstore.Private)} {
		check(t, os.MkdirAll(dir, 0o700))
	}
}

// recordOf is the record of a message as it is written.
func recordOf(ctx context.Context, v *mailstore.View, seq uint32) ([]byte, error) {
	var m mime.Message
	if err := v.Record(ctx, seq, &m, false); err != nil {
		return nil, err
	}
	return m.AppendBinary(nil), nil
}
