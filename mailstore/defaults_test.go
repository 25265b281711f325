package mailstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

// folders are the mailboxes on the disk.
func foldersOnDisk(t testing.TB, root string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, alice().Home))
	check(t, err)
	var out []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), ".") {
			out = append(out, e.Name())
		}
	}
	return strings.Join(out, " ")
}

// TestDefaultFoldersWait has a default folder for each way of needing one.
func TestDefaultFoldersWait(t *testing.T) {
	t.Parallel()
	s, u, root := openEmpty(t, "A", "B", "C", "D", "E", "F/G", "Trash", "Sent")
	ctx := t.Context()
	deliver(t, s, Delivery{Content: message("one")})
	deliver(t, s, Delivery{Content: message("two")})
	have := func(want string) {
		t.Helper()
		if got := foldersOnDisk(t, root); got != want {
			t.Errorf("on the disk: %s, want %s", got, want)
		}
	}
	const all = `INBOX A* B* C* D* E* F!+ F/G* Sent*\Sent Trash*\Trash`
	if got := names(t, u); got != all {
		t.Errorf("have %s", got)
	}
	status, err := u.Status(ctx, "A")
	check(t, err)
	if status != (Status{UIDNext: 1}) {
		t.Errorf("%+v", status)
	}
	if err := u.Create(ctx, "A", ""); !errors.Is(err, ErrExists) {
		t.Errorf("create: %v", err)
	}
	if err := u.Rename(ctx, "B", "C"); !errors.Is(err, ErrExists) {
		t.Errorf("rename: %v", err)
	}
	have("")
	_, _, err = u.Append(ctx, "A", nil, time.Time{}, message("appended"))
	check(t, err)
	have(".A")
	v := openView(t, u, "INBOX")
	_, _, err = v.Copy(ctx, []uint32{1}, "B")
	check(t, err)
	have(".A .B")
	_, _, err = v.Move(ctx, []uint32{2}, "F/G")
	check(t, err)
	have(".A .B .F.G")
	check(t, openView(t, u, "C").Close())
	check(t, u.MakeDefault(ctx, "D"))
	have(".A .B .C .D .F.G")
	check(t, s.Deliver(ctx, alice(), &Delivery{Folder: "E", Content: message("filed")}))
	have(".A .B .C .D .E .F.G")
	if _, _, err := v.Copy(ctx, []uint32{1}, "None"); !errors.Is(err, ErrNotFound) {
		t.Errorf("copy: %v", err)
	}
	if got := names(t, u); got != all {
		t.Errorf("have %s", got)
	}
	if got := fmt.Sprint(subjectsOf(t, s, "A", "B", "E", "F/G")); got != "map[appended:1 filed:1 one:1 two:1]" {
		t.Errorf("%v", got)
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}

// TestDefaultFoldersThatWereDeletedStayAway deletes, renames and unsubscribes
// default folders, made or not, and opens the store again.
func TestDefaultFoldersThatWereDeletedStayAway(t *testing.T) {
	t.Parallel()
	s, u, root := openEmpty(t, "A", "B", "C", "D", "Sent")
	ctx := t.Context()
	step := func(want string, err error) {
		t.Helper()
		check(t, err)
		if got := names(t, u); got != want {
			t.Errorf("have %s\nwant %s", got, want)
		}
	}
	step(`INBOX A!* B* C* D* Sent*\Sent`, u.Delete(ctx, "A"))
	if err := u.Delete(ctx, "A"); !errors.Is(err, ErrNotFound) {
		t.Errorf("delete: %v", err)
	}
	step(`INBOX A!* B* C* D Sent*\Sent`, u.Subscribe(ctx, "D", false))
	step(`INBOX A!* B* C* D* Sent*\Sent`, u.Subscribe(ctx, "D", true))
	step(`INBOX A!* B!* C* D* Sent*\Sent X`, u.Rename(ctx, "B", "X"))
	check(t, u.MakeDefault(ctx, "C"))
	step(`INBOX A!* B!* C!* D* Sent*\Sent X`, u.Delete(ctx, "C"))
	step(`INBOX A* B!* C!* D* Sent*\Sent X`, u.Create(ctx, "A", ""))
	step(`INBOX A* B!* C!* D!*+ D/E Sent*\Sent X`, func() error { // a child makes its parent
		if err := u.Create(ctx, "D/E", ""); err != nil {
			return err
		}
		return u.Delete(ctx, "D")
	}())
	step(`INBOX A* B!* C!* D!*+ D/E Outbox\Sent Sent* X`, u.Create(ctx, "Outbox", imap.MailboxAttrSent))
	check(t, u.Close())
	check(t, s.Close())
	o := options(root)
	o.Store.DefaultFolders = []string{"A", "B", "C", "D", "Sent", "New"}
	s, err := Open(ctx, o)
	check(t, err)
	u = openUser(t, s)
	step(`INBOX A* B!* C!* D!*+ D/E Outbox\Sent Sent* X`, nil)
	check(t, u.Close())
	check(t, s.Close())
}

// TestInodesOfAMailbox counts what an account with one message takes.
func TestInodesOfAMailbox(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s, err := Open(t.Context(), options(root))
	check(t, err)
	deliver(t, s, Delivery{Content: message("one")})
	check(t, s.Close())
	var all []string
	check(t, filepath.WalkDir(filepath.Join(root, alice().Home), func(path string, _ fs.DirEntry, err error) error {
		all = append(all, strings.TrimPrefix(path, root))
		return err
	}))
	if len(all) > 14 {
		t.Errorf("%d inodes:\n%s", len(all), strings.Join(all, "\n"))
	}
}

func TestFolderLimits(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	o.Store.DefaultFolders = nil
	o.Store.MaxFolders, o.Store.MaxFolderDepth, o.Store.MaxFolderName, o.Store.MaxSubscriptions = 5, 3, 20, 2
	s, err := Open(t.Context(), o)
	check(t, err)
	u := openUser(t, s)
	ctx := t.Context()
	limited := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) || !errors.Is(err, ErrLimit) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	limited(u.Create(ctx, "a/b/c/d", ""), ErrFolderName)
	limited(u.Create(ctx, strings.Repeat("x", 20), ""), ErrFolderName)
	limited(u.Create(ctx, strings.Repeat("ä", 8), ""), ErrFolderName) // more on the disk
	check(t, u.Create(ctx, "a/b/c", ""))
	check(t, u.Create(ctx, "d", ""))
	limited(u.Create(ctx, "e/f", ""), ErrTooManyFolders) // two are needed
	check(t, u.Create(ctx, "e", ""))
	limited(u.Create(ctx, "f", ""), ErrTooManyFolders)
	limited(u.Create(ctx, "e/f", ""), ErrTooManyFolders)
	limited(u.Rename(ctx, "INBOX", "old"), ErrTooManyFolders)
	limited(u.Rename(ctx, "a", "e/a"), ErrFolderName)                   // a/b/c would be too deep
	limited(u.Rename(ctx, "a", strings.Repeat("x", 17)), ErrFolderName) // and too long
	limited(u.Rename(ctx, "d", "f/d"), ErrTooManyFolders)
	if got := names(t, u); got != "INBOX a+ a/b+ a/b/c d e" {
		t.Errorf("have %s", got)
	}
	check(t, u.Rename(ctx, "d", "f"))
	check(t, u.Delete(ctx, "f"))
	check(t, u.Create(ctx, "g", ""))
	if err := u.Create(ctx, "g", ""); !errors.Is(err, ErrExists) {
		t.Errorf("%v", err)
	}
	check(t, u.Subscribe(ctx, "a", true))
	check(t, u.Subscribe(ctx, "e", true))
	limited(u.Subscribe(ctx, "g", true), ErrTooManySubscriptions)
	check(t, u.Subscribe(ctx, "a", true))
	check(t, u.Delete(ctx, "e"))
	limited(u.Subscribe(ctx, "g", true), ErrTooManySubscriptions)
	check(t, u.Subscribe(ctx, "e", false))
	check(t, u.Subscribe(ctx, "g", true))
	check(t, u.Close())
	check(t, s.Close())
}
