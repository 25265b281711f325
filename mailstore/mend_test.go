package mailstore

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// TestRemovedFoldersOfAMaildir: whoever tidies up by hand and removes new, cur
// or tmp does not stop the mailbox for ever, whether it is in memory or not.
func TestRemovedFoldersOfAMaildir(t *testing.T) {
	t.Parallel()
	for _, removed := range [][]string{{"new"}, {"cur"}, {"tmp"}, {"new", "cur", "tmp"}} {
		for _, folder := range []string{"INBOX", "Junk"} {
			for _, inMemory := range []bool{true, false} {
				testRemovedFolders(t, removed, folder, inMemory)
			}
		}
	}
}

func testRemovedFolders(t *testing.T, removed []string, folder string, inMemory bool) {
	t.Helper()
	s, u, root := openEmpty(t, "Junk")
	ctx := t.Context()
	deliver(t, s, Delivery{Folder: folder})
	deliver(t, s, Delivery{Folder: folder, Flags: []imap.Flag{imap.FlagSeen}})
	check(t, u.Subscribe(ctx, "Junk", false))
	if !inMemory {
		check(t, u.Close())
		check(t, s.Close())
	}
	path := filepath.Join(root, alice().Home)
	if folder != "INBOX" {
		path = filepath.Join(path, "."+folder)
	}
	lost := map[string]bool{}
	for _, sub := range removed {
		check(t, os.RemoveAll(filepath.Join(path, sub)))
		lost[sub] = true
	}
	if !inMemory {
		s = openStore(t, root)
		u = openUser(t, s)
	}
	want := uint32(4)
	for _, sub := range []string{"new", "cur"} {
		if lost[sub] {
			want--
		}
	}
	for _, flags := range [][]imap.Flag{nil, {imap.FlagSeen}} {
		d := Delivery{Folder: folder, Flags: flags, Content: message("y")}
		if err := s.Deliver(ctx, alice(), &d); err != nil {
			t.Errorf("%v of %s, in memory %t, delivery: %v", removed, folder, inMemory, err)
		}
	}
	v, err := u.Open(ctx, folder, false)
	if err != nil {
		t.Fatalf("%v of %s, in memory %t: %v", removed, folder, inMemory, err)
	}
	// Directories are not read all the time, so it may take a moment.
	updateUntil(t, v, true, func(Update) bool { return uint32(v.Len()) == want })
	if got := names(t, u); got != `INBOX Junk\Junk` {
		t.Errorf("%v of %s, in memory %t: mailboxes %q", removed, folder, inMemory, got)
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}
