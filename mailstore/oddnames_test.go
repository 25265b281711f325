package mailstore

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// oddNames are file names in cur that other programs leave behind and that we
// would spell in another way.
func oddNames() []string {
	return []string{
		"x", "x:2,SFR", "x:2,SX", "x:2,SS", "x:1,S", "x:2,FS,extra", "x:2,SZ", "x:", "x:2", "x:2,", "x:3,S", "x:2,ZYX",
		"x:2,aS", "x,S=3,W=4:2,SzA", "x,S=11:2,S:2,T", "x:2,é", "x y:2, S", "&x:2,\tS",
	}
}

// oddMailbox has one message for each odd name, and one with an ordinary name
// at the end.
func oddMailbox(t *testing.T, root string) (names []string) {
	t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		check(t, os.MkdirAll(home(root, sub), 0o700))
	}
	check(t, os.MkdirAll(filepath.Join(root, Private), 0o700))
	for i, odd := range append(oddNames(), "x:2,S") {
		name := fmt.Sprintf("10000000%02d.%s", i, odd)
		check(t, os.WriteFile(home(root, "cur", name), []byte(content(i)), 0o600))
		names = append(names, name)
	}
	return names
}

func content(i int) string { return fmt.Sprintf("Subject: m%d\n\nbody %d\n", i, i) }

// files are the names in a folder.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func allOf(v *View) (seqs []uint32) {
	for seq := range uint32(v.Len()) {
		seqs = append(seqs, seq+1)
	}
	return seqs
}

// TestOddNamesAreRead: every message is found, and read again after a restart;
// nothing is renamed for it.
func TestOddNamesAreRead(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	names := oddMailbox(t, root)
	for range 3 {
		s := openStore(t, root)
		u := openUser(t, s)
		v := openView(t, u, "INBOX")
		if v.Len() != len(names) {
			t.Fatal(v.Len(), len(names))
		}
		for i := range names {
			if got := readAllOf(t, v, uint32(i)+1); got != content(i) {
				t.Errorf("%q: %q", names[i], got)
			}
		}
		check(t, v.Close())
		check(t, u.Close())
		check(t, s.Close())
		if got := files(t, home(root, "cur")); !slices.Equal(got, names) {
			t.Errorf("%q\nwant %q", got, names)
		}
	}
}

// TestOddNamesKeepTheirLetters: a change of flags keeps the letters that are
// not ours and what follows a second comma.
func TestOddNamesKeepTheirLetters(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	names := oddMailbox(t, root)
	s := openStore(t, root)
	defer func() { check(t, s.Close()) }()
	u := openUser(t, s)
	defer func() { check(t, u.Close()) }()
	v := openView(t, u, "INBOX")
	_, err := v.SetFlags(t.Context(), allOf(v), FlagsAdd, []imap.Flag{imap.FlagFlagged}, 0)
	check(t, err)
	want := []string{
		"x:2,F", "x:2,SFR", "x:2,FSX", "x:2,FS", "x:2,F", "x:2,FS,extra", "x:2,FSZ", "x:2,F", "x:2,F", "x:2,F", "x:2,F", "x:2,FZYX",
		"x:2,FSa", "x,S=3,W=4:2,AFSz", "x,S=11:2,S:2,FT", "x:2,Fé", "x y:2, FS", "&x:2,\tFS", "x:2,FS",
	}
	got := files(t, home(root, "cur"))
	for i, name := range got {
		if name = strings.TrimPrefix(name, fmt.Sprintf("10000000%02d.", i)); name != want[i] {
			t.Errorf("%q became %q, want %q", names[i], name, want[i])
		}
		if f := v.Message(uint32(i) + 1).Flags; !slices.Contains(f, imap.FlagFlagged) {
			t.Errorf("%q: %v", names[i], f)
		}
	}
	for i := range names {
		if got := readAllOf(t, v, uint32(i)+1); got != content(i) {
			t.Errorf("%q: %q", names[i], got)
		}
	}
	// All off: unknown letters are still there.
	_, err = v.SetFlags(t.Context(), allOf(v), FlagsSet, nil, 0)
	check(t, err)
	if got := files(t, home(root, "cur")); got[5] != "1000000005.x:2,,extra" || got[2] != "1000000002.x:2,X" {
		t.Errorf("%q", got)
	}
	check(t, v.Close())
}

// TestOddNamesAreCopiedMovedAndExpunged: each operation does what it says.
func TestOddNamesAreCopiedMovedAndExpunged(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"copy", "move", "expunge"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			names := oddMailbox(t, root)
			s := openStore(t, root)
			defer func() { check(t, s.Close()) }()
			u := openUser(t, s)
			defer func() { check(t, u.Close()) }()
			v := openView(t, u, "INBOX")
			var uids []imap.UID
			var err error
			switch op {
			case "copy":
				check(t, u.Create(t.Context(), "X", ""))
				_, uids, err = v.Copy(t.Context(), allOf(v), "X")
			case "move":
				check(t, u.Create(t.Context(), "X", ""))
				_, uids, err = v.Move(t.Context(), allOf(v), "X")
			default:
				err = v.Expunge(t.Context(), allOf(v))
			}
			check(t, err)
			left := files(t, home(root, "cur"))
			if op == "copy" && len(left) != len(names) || op != "copy" && len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			if op != "expunge" && len(uids) != len(names) {
				t.Errorf("%v", uids)
			}
			check(t, v.Close())
		})
	}
}

// TestRenamedUnderneath: a file that another program renamed a moment ago is
// looked for, changed and removed all the same.
func TestRenamedUnderneath(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openStore(t, root)
	u := openUser(t, s)
	for i := range 4 {
		deliver(t, s, Delivery{Content: message(string(rune('a' + i)))})
	}
	v := openView(t, u, "INBOX")
	_, err := v.SetFlags(t.Context(), []uint32{1, 2, 3, 4}, FlagsAdd, []imap.Flag{imap.FlagSeen}, 0)
	check(t, err)
	others := func(from, to string) {
		t.Helper()
		for _, name := range files(t, home(root, "cur")) {
			base, rest, _ := strings.Cut(name, ":")
			if rest != from {
				t.Fatal(name)
			}
			check(t, os.Rename(home(root, "cur", name), home(root, "cur", base+":"+to)))
		}
	}
	others("2,S", "2,SR")
	_, err = v.SetFlags(t.Context(), []uint32{1, 2, 3, 4}, FlagsAdd, []imap.Flag{imap.FlagFlagged}, 0)
	check(t, err)
	for _, name := range files(t, home(root, "cur")) {
		if !strings.HasSuffix(name, ":2,FRS") {
			t.Error(name)
		}
	}
	others("2,FRS", "2,S,w")
	_, uids, err := v.Copy(t.Context(), []uint32{1}, "Junk")
	if err != nil || len(uids) != 1 {
		t.Errorf("%v %v", uids, err)
	}
	others("2,S,w", "1,")
	if _, uids, err = v.Move(t.Context(), []uint32{2}, "Junk"); err != nil || len(uids) != 1 {
		t.Errorf("%v %v", uids, err)
	}
	others("1,", "2,T")
	check(t, v.Expunge(t.Context(), []uint32{1, 3, 4}))
	if got := files(t, home(root, "cur")); len(got) != 0 {
		t.Errorf("%q", got)
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}
