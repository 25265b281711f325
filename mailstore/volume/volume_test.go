package volume

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open is one process on the store in root.
func open(t *testing.T, fsys vfs.FS, root string) *Volume {
	t.Helper()
	v := New(Options{Root: root, FS: fsys, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "host.test", Config: configs.Default().Store})
	check(t, fsys.MkdirAll(filepath.Join(root, Private), 0o700))
	check(t, v.Open(t.Context()))
	return v
}

// TestProcesses: each has a slot of its own and knows who lives; the session is the same as
// long as one does.
func TestProcesses(t *testing.T) {
	t.Parallel()
	for name, fsys := range map[string]vfs.FS{"disk": vfs.OS{}, "memory": faultfs.NewDisk()} {
		root := "/mail"
		if name == "disk" {
			root = t.TempDir()
		}
		first, second := open(t, fsys, root), open(t, fsys, root)
		if first.Era() != second.Era() || first.Own() == second.Own() || first.Own().Slot == second.Own().Slot {
			t.Errorf("%s: %v and %v", name, first.Own(), second.Own())
		}
		if others, err := first.Others(); err != nil || len(others) != 1 || others[0] != second.Own() {
			t.Errorf("%s: %v %v", name, others, err)
		}
		was := first.Own()
		check(t, first.Close())
		third := open(t, fsys, root)
		if third.Era() != second.Era() || third.Own().Slot != was.Slot {
			t.Errorf("%s: %v after %v", name, third.Own(), was)
		}
		for who, want := range map[Process]bool{was: false, third.Own(): true, second.Own(): true, {Slot: 5, Key: 7}: false, {Slot: -1}: false, {Slot: MaxProcesses}: false} {
			if lives, err := second.Lives(who); err != nil || lives != want {
				t.Errorf("%s: %v lives %v: %v", name, who, lives, err)
			}
		}
		session := second.Era()
		check(t, errors.Join(second.Close(), third.Close()))
		last := open(t, fsys, root)
		if last.Era() == session {
			t.Errorf("%s: nobody had the store open, and it is the same session", name)
		}
		check(t, last.Close())
	}
}

// TestTooManyProcesses: the last one is refused with a reason, and has a place when one ends.
func TestTooManyProcesses(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	var all []*Volume
	for range MaxProcesses {
		all = append(all, open(t, disk, "/mail"))
	}
	v := New(all[0].Options)
	if err := v.Open(t.Context()); !errors.Is(err, ErrProcesses) {
		t.Errorf("%v", err)
	}
	check(t, all[17].Close())
	check(t, v.Open(t.Context()))
	if v.Own().Slot != 17 {
		t.Errorf("%v", v.Own())
	}
	all[17] = v
	for _, v := range all {
		check(t, v.Close())
	}
}

// TestALockFileOfAKilledProcess is broken at once, one of another program's is not.
func TestALockFileOfAKilledProcess(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	v := open(t, vfs.OS{}, root)
	name := filepath.Join(root, "dovecot-keywords")
	replace := func(want bool) {
		t.Helper()
		done, err := v.ReplaceLocked(name, func() ([]byte, error) { return []byte("new"), nil })
		if err != nil || done != want {
			t.Errorf("%v %v", done, err)
		}
		entries, err := os.ReadDir(root)
		check(t, err)
		for _, e := range entries {
			if e.Name() != Private && e.Name() != "dovecot-keywords" && (want || e.Name() != "dovecot-keywords.lock") {
				t.Errorf("%s is left", e.Name())
			}
		}
	}
	replace(true)
	write := func(name string) { check(t, os.WriteFile(name, []byte("torn"), 0o600)) }
	// Killed before it was a lock, while it was one, and when it was the file already.
	write(name + ownSuffix)
	replace(true)
	write(name + ownSuffix)
	check(t, os.Link(name+ownSuffix, name+".lock"))
	replace(true)
	check(t, os.Link(name, name+ownSuffix))
	replace(true)
	// Another program's.
	write(name + ".lock")
	replace(false)
	old := time.Now().Add(-staleLock)
	check(t, os.Chtimes(name+".lock", old, old))
	replace(true)
	if got, err := os.ReadFile(name); err != nil || string(got) != "new" {
		t.Errorf("%q %v", got, err)
	}
	check(t, v.Close())
}

// TestRemovedIsRemembered for a while, by all processes.
func TestRemovedIsRemembered(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	first, second := open(t, vfs.OS{}, root), open(t, vfs.OS{}, root)
	check(t, second.ForgetRemoved())
	check(t, first.NoteRemoved("example.test/alice", "5f5e1000"))
	at, validity, err := second.Removed("example.test/alice")
	if err != nil || validity != "5f5e1000" || time.Since(at) > time.Minute || time.Since(at) < 0 {
		t.Errorf("%v %q %v", at, validity, err)
	}
	if at, validity, err := second.Removed("example.test/bob"); err != nil || !at.IsZero() || validity != "" {
		t.Errorf("%v %q %v", at, validity, err)
	}
	check(t, second.ForgetRemoved())
	if at, _, err := first.Removed("example.test/alice"); err != nil || at.IsZero() {
		t.Errorf("it is forgotten at once: %v", err)
	}
	dir, file := first.removedFile("example.test/alice")
	old := time.Now().Add(-2 * RemovalMemory)
	check(t, os.Chtimes(filepath.Join(dir, file), old, old))
	check(t, second.ForgetRemoved())
	if at, _, err := first.Removed("example.test/alice"); err != nil || !at.IsZero() {
		t.Errorf("it is not forgotten: %v %v", at, err)
	}
	check(t, errors.Join(first.Close(), second.Close()))
}
