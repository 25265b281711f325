package identity_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"toastmaster/internal/identity"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

func TestReadAndWrite(t *testing.T) {
	t.Parallel()
	dir, disk := t.TempDir(), vfs.OS{}
	if id, err := identity.Read(disk, dir); id != "" || err != nil {
		t.Fatalf("an empty folder has %q, %v", id, err)
	}
	first, second := identity.New(), identity.New()
	if first == second {
		t.Fatal("two instances have one id")
	}
	if err := identity.Intend(disk, dir, first); err != nil {
		t.Fatal(err)
	}
	if id, err := identity.Read(disk, dir); id != "" || err != nil {
		t.Errorf("an intention is %q, %v", id, err)
	}
	if id, err := identity.Intended(disk, dir); id != first || err != nil {
		t.Errorf("intended %q, %v", id, err)
	}
	for _, want := range []identity.ID{first, second} {
		if err := identity.Write(disk, dir, want); err != nil {
			t.Fatal(err)
		}
		if id, err := identity.Read(disk, dir); id != want || err != nil {
			t.Errorf("read %q, %v; want %q", id, err, want)
		}
		if id, err := identity.Intended(disk, dir); id != "" || err != nil {
			t.Errorf("still intended %q, %v", id, err)
		}
	}
	// A file that something else wrote is a mistake, never "no id".
	if err := os.WriteFile(filepath.Join(dir, identity.File), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := identity.Read(disk, dir); err == nil {
		t.Errorf("read %q", id)
	}
}

// TestWhatIsNoID: an id is known by its form, so that no other text, and no half of
// one, is ever taken for one.
func TestWhatIsNoID(t *testing.T) {
	t.Parallel()
	good := string(identity.New())
	if id, err := identity.Parse(good); err != nil || string(id) != good {
		t.Fatalf("%q: %q %v", good, id, err)
	}
	for name, bad := range map[string]string{
		"nothing": "", "short": good[1:], "long": good + "A", "small letters": strings.ToLower(good[:25]) + "a", "a digit that is none": good[:25] + "1",
		"a digit in the middle": good[:12] + "8" + good[13:], "a blank": " " + good[1:], "a line end": good[:25] + "\n",
	} {
		if id, err := identity.Parse(bad); err == nil || id != "" || !strings.Contains(err.Error(), "is no instance id") {
			t.Errorf("%s: %q, %v", name, id, err)
		}
	}
}

// TestFilesThatAreDamaged: what stands in the place of an id and is none is an error
// that names the file, and a file that cannot be read is never "no id": a start would
// make a new one over it.
func TestFilesThatAreDamaged(t *testing.T) {
	t.Parallel()
	good := string(identity.New())
	for name, text := range map[string]string{
		"empty": "", "a line end": "\n", "cut": good[:10], "two lines": good + "\n" + good + "\n", "two line ends": good + "\n\n", "CR LF": good + "\r\n",
		"blanks": good + " \n", "much": strings.Repeat(good, 1000), "zeros": strings.Repeat("\x00", 27),
	} {
		dir := t.TempDir()
		for _, file := range []string{identity.File, identity.File + ".adopt"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if id, err := identity.Read(vfs.OS{}, dir); err == nil || id != "" || !strings.Contains(err.Error(), filepath.Join(dir, identity.File)) {
			t.Errorf("%s: read %q, %v", name, id, err)
		}
		if id, err := identity.Intended(vfs.OS{}, dir); err == nil || id != "" {
			t.Errorf("%s: intended %q, %v", name, id, err)
		}
	}
	for _, op := range []faultfs.Op{faultfs.Open, faultfs.Read} {
		faults := faultfs.Wrap(vfs.OS{})
		dir := t.TempDir()
		if err := identity.Write(faults, dir, identity.ID(good)); err != nil {
			t.Fatal(err)
		}
		faults.Hook(func(o faultfs.Op, _ string) error {
			if o == op {
				return unix.EIO
			}
			return nil
		})
		if id, err := identity.Read(faults, dir); !errors.Is(err, unix.EIO) || id != "" {
			t.Errorf("%v: read %q, %v", op, id, err)
		}
	}
}

// TestWriteThatFails: whatever operation fails, the old id or the new one is there
// whole, and after a success of Write only the new one, and no intention.
func TestWriteThatFails(t *testing.T) {
	t.Parallel()
	first, second := identity.New(), identity.New()
	for n := 0; ; n++ {
		faults, dir := faultfs.Wrap(vfs.OS{}), t.TempDir()
		if err := errors.Join(identity.Write(faults, dir, first), identity.Intend(faults, dir, second)); err != nil {
			t.Fatal(err)
		}
		at, failed := 0, false
		faults.Hook(func(o faultfs.Op, name string) error {
			if o == faultfs.Open || o == faultfs.Read {
				return nil
			}
			if at++; at-1 == n {
				failed = true
				return unix.ENOSPC
			}
			return nil
		})
		err := identity.Write(faults, dir, second)
		faults.Hook(nil)
		id, readErr := identity.Read(faults, dir)
		if readErr != nil || id != first && id != second {
			t.Fatalf("step %d: %q, %v", n, id, readErr)
		}
		if err == nil {
			intended, intendedErr := identity.Intended(faults, dir)
			if id != second || intended != "" || intendedErr != nil {
				t.Fatalf("step %d: all is well, and the id is %q, intended %q, %v", n, id, intended, intendedErr)
			}
		} else if !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("step %d: %v", n, err)
		}
		if !failed {
			if n < 4 {
				t.Errorf("only %d steps could fail", n)
			}
			return
		}
	}
}

// TestEntries: the root of a file system is empty with nothing but lost+found in it,
// and a folder that cannot be read is an error.
func TestEntries(t *testing.T) {
	t.Parallel()
	faults, dir := faultfs.Wrap(vfs.OS{}), t.TempDir()
	entries := func(dir string, want ...string) {
		t.Helper()
		got, err := identity.Entries(faults, dir)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	entries(filepath.Join(dir, "none"))
	entries(dir)
	for _, name := range []string{"lost+found", "b", "a"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if name == "lost+found" {
			entries(dir)
		}
	}
	entries(dir, "a", "b")
	faults.Hook(func(op faultfs.Op, _ string) error {
		if op == faultfs.ReadDir {
			return unix.EIO
		}
		return nil
	})
	if got, err := identity.Entries(faults, dir); !errors.Is(err, unix.EIO) {
		t.Errorf("%q, %v", got, err)
	}
}
