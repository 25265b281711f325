package snapshot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"toastmaster/internal/clock"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree makes files, and folders for names that end with a slash.
func tree(t *testing.T, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(root, name)
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(path, 0o700))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, []byte(name), 0o600))
	}
}

// TestHomesWithOddNames: accounts whose local parts are names of a Maildir are
// accounts.
func TestHomesWithOddNames(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree(t, root, ".toastmaster/spool/", "a.test/alice/cur/", "a.test/alice/new/", "a.test/alice/.Sent/cur/", "a.test/cur/cur/1.x:2,", "a.test/new/cur/",
		"a.test/tmp/cur/", "b.test/bob/Maildir/cur/", "b.test/nobody/readme", "b.test/carol/toastmaster.index.log")
	var got []string
	must(t, Homes(context.Background(), root, func(home string) error { got = append(got, home); return nil }))
	want := []string{"a.test/alice", "a.test/cur", "a.test/new", "a.test/tmp", "b.test/bob/Maildir", "b.test/carol"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTake takes messages and small files, not what is made anew, and waits for
// locks without holding any.
func TestTake(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree(t, root, ".toastmaster/", "a/cur/1.x:2,S", "a/new/2.x", "a/tmp/3.x", "a/toastmaster.index.log", "a/toastmaster.cache", "a/maildirsize",
		"a/subscriptions", "a/dovecot-uidlist.lock", "a/.Sent/cur/4.x:2,", "a/.Sent/toastmaster.index.log", "a/sieve/x.sieve", "a/.Sent/maildirfolder")
	must(t, os.Symlink("sieve/x.sieve", filepath.Join(root, "a/.dovecot.sieve")))
	must(t, os.Symlink("/archive/5.x", filepath.Join(root, "a/.Sent/cur/5.x:2,S")))
	stage, err := NewStaging(root)
	must(t, err)
	o := Options{Root: root, Home: "a", Staging: stage, Patience: time.Minute, Clock: clock.System{}, Have: func(folder, base string) bool { return base == "1.x" }}
	p, err := Take(context.Background(), o)
	must(t, err)
	var got []string
	for _, f := range p.Files {
		switch {
		case f.Target != "":
			got = append(got, f.Path+" -> "+f.Target)
		case f.Info == nil && f.From == "":
			got = append(got, f.Path+" (had)")
		case f.Info == nil:
			text, err := os.ReadFile(f.From)
			must(t, err)
			if string(text) != "a/"+f.Path {
				t.Errorf("%s has %q", f.Path, text)
			}
			got = append(got, f.Path)
		}
	}
	slices.Sort(got)
	want := []string{".Sent/cur/4.x:2,", ".Sent/cur/5.x:2,S -> /archive/5.x", ".Sent/maildirfolder", ".Sent/toastmaster.index.log", ".dovecot.sieve -> sieve/x.sieve", "cur/1.x:2,S (had)", "new/2.x",
		"sieve/x.sieve", "subscriptions", "toastmaster.index.log"}
	if !slices.Equal(got, want) {
		t.Errorf("\n%q, want\n%q", got, want)
	}
	must(t, p.Close())

	// Somebody has one of the two locked.
	f, err := os.Open(filepath.Join(root, "a/.Sent/toastmaster.index.log"))
	must(t, err)
	must(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	o.Patience = 0
	if _, err := Take(context.Background(), o); !errors.Is(err, ErrLocked) {
		t.Errorf("a locked mailbox: %v", err)
	}
	free, err := lock(filepath.Join(root, "a/toastmaster.index.log"))
	if err != nil {
		t.Errorf("the other one is still locked: %v", err)
	} else {
		must(t, free.Close())
	}
	must(t, f.Close())
	must(t, stage.Close())
	must(t, os.RemoveAll(filepath.Join(root, "a")))
	stage, err = NewStaging(root)
	must(t, err)
	defer stage.Close()
	if _, err := Take(context.Background(), Options{Root: root, Home: "a", Staging: stage, Clock: clock.System{}}); !errors.Is(err, ErrNoAccount) {
		t.Errorf("an account that has gone: %v", err)
	}
}
