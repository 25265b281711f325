package plainmaildir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

var when = time.Date(2023, 2, 1, 4, 5, 6, 0, time.UTC)

func put(f *Folder, bases ...string) error {
	for _, base := range bases {
		if f.Has(base) {
			continue
		}
		if err := f.Put(base, "FS", when, strings.NewReader("text of "+base)); err != nil {
			return err
		}
	}
	return f.Commit()
}

func TestPutAndFlags(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a")
	f, err := Open(vfs.OS{}, dir)
	must(t, err)
	must(t, put(f, "1.a.h", "2.b.h,S=3"))
	must(t, os.WriteFile(filepath.Join(dir, "cur", "odd"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "cur", "odd:1,S"), nil, 0o600))
	f, err = Open(vfs.OS{}, dir)
	must(t, err)
	if !f.Has("1.a.h") || !f.Has("2.b.h,S=3") || f.Has("odd") || f.Len() != 2 {
		t.Error("what is there is not known")
	}
	for i, letters := range []string{"FS", "RSab", "RSab"} {
		if changed, err := f.SetFlags("1.a.h", letters); err != nil || changed != (i == 1) {
			t.Errorf("%s: %v %v", letters, changed, err)
		}
	}
	if got := names(t, filepath.Join(dir, "cur")); !slices.Equal(got, []string{"1.a.h:2,RSab", "2.b.h,S=3:2,FS", "odd", "odd:1,S"}) {
		t.Errorf("%q", got)
	}
	if info, err := os.Stat(filepath.Join(dir, "cur", "2.b.h,S=3:2,FS")); err != nil || !info.ModTime().Equal(when) {
		t.Errorf("%v %v", info, err)
	}
	for _, bad := range []string{"", ".x", "a/b", "../x", "a:2,S", "a\nb", "a\x00", strings.Repeat("x", 250)} {
		if err := f.Put(bad, "", when, strings.NewReader("x")); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestEachFailure: whatever fails, a message in cur is whole, and the next run adds what is
// missing, and nothing twice.
func TestEachFailure(t *testing.T) {
	t.Parallel()
	all := []string{"1.a.h", "2.b.h", "3.c.h"}
	for n := 1; ; n++ {
		dir := filepath.Join(t.TempDir(), "a")
		faults := faultfs.Wrap(vfs.OS{})
		faults.FailNth(faultfs.Any, n, faultfs.EIO)
		f, err := Open(faults, dir)
		if err == nil {
			err = put(f, all...)
		}
		if faults.Count(faultfs.Any) < n {
			must(t, err)
			if n < 10 {
				t.Errorf("only %d operations", n)
			}
			return
		}
		if err == nil {
			t.Errorf("operation %d fails, and nobody says so", n)
		}
		if _, err := os.Stat(dir); err == nil && n > 4 {
			for _, name := range names(t, filepath.Join(dir, "cur")) {
				base, _, _ := strings.Cut(name, ":")
				if text, err := os.ReadFile(filepath.Join(dir, "cur", name)); err != nil || string(text) != "text of "+base {
					t.Errorf("operation %d fails: %s has %q %v", n, name, text, err)
				}
			}
		}
		f, err = Open(vfs.OS{}, dir)
		must(t, err)
		must(t, put(f, all...))
		if got := names(t, filepath.Join(dir, "cur")); len(got) != len(all) || len(names(t, filepath.Join(dir, "tmp"))) != 0 {
			t.Errorf("operation %d failed: %q", n, got)
		}
	}
}

// TestSyncedBeforeNamed: the contents are synced before any of them has its name in cur,
// and the names after that.
func TestSyncedBeforeNamed(t *testing.T) {
	t.Parallel()
	faults := faultfs.Wrap(vfs.OS{})
	var order []string
	faults.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.Rename || op == faultfs.SyncFS || op == faultfs.SyncDir {
			order = append(order, string(op)+" "+filepath.Base(filepath.Dir(name))+"/"+filepath.Base(name))
		}
		return nil
	})
	f, err := Open(faults, filepath.Join(t.TempDir(), "a"))
	must(t, err)
	must(t, put(f, "1.a.h"))
	if len(order) != 3 || !strings.HasPrefix(order[0], string(faultfs.SyncFS)) || !strings.HasPrefix(order[1], string(faultfs.Rename)) || !strings.HasPrefix(order[2], string(faultfs.SyncDir)) {
		t.Errorf("%q", order)
	}
}

// TestFlagsAreSynced: a message that got other flags has its new name on disk when Commit
// returns nil, and an operation that fails is told, however often.
func TestFlagsAreSynced(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a")
	f, err := Open(vfs.OS{}, dir)
	must(t, err)
	must(t, put(f, "1.a.h", "2.b.h"))
	faults := faultfs.Wrap(vfs.OS{})
	var order []string
	var broken faultfs.Op
	faults.Hook(func(op faultfs.Op, name string) error {
		if op == broken {
			return faultfs.EIO
		}
		if op == faultfs.Rename || op == faultfs.SyncFS || op == faultfs.SyncDir {
			order = append(order, string(op))
		}
		return nil
	})
	f, err = Open(faults, dir)
	must(t, err)
	must(t, f.Commit())
	if len(order) != 0 {
		t.Errorf("nothing was done, and %q", order)
	}
	broken = faultfs.Rename
	if _, err := f.SetFlags("1.a.h", "S"); !errors.Is(err, faultfs.EIO) {
		t.Errorf("the rename fails: %v", err)
	}
	broken = ""
	if changed, err := f.SetFlags("1.a.h", "SDD"); !changed || err != nil {
		t.Errorf("%v %v", changed, err)
	}
	if changed, err := f.SetFlags("1.a.h", "DS"); changed || err != nil {
		t.Errorf("the same: %v %v", changed, err)
	}
	broken = faultfs.SyncDir
	for range 2 {
		if err := f.Commit(); !errors.Is(err, faultfs.EIO) {
			t.Errorf("the names are not synced, and Commit says %v", err)
		}
	}
	broken = ""
	must(t, f.Commit())
	must(t, f.Commit())
	if want := []string{string(faultfs.Rename), string(faultfs.SyncDir)}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
	if got := names(t, filepath.Join(dir, "cur")); !slices.Equal(got, []string{"1.a.h:2,DS", "2.b.h:2,FS"}) {
		t.Errorf("%q", got)
	}
}

func TestOthersFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	must(t, os.Mkdir(other, 0o700))
	for what, prepare := range map[string]func(path string) error{
		"a link":            func(path string) error { return os.Symlink(other, path) },
		"a file":            func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"written by others": func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o770)) },
		"cur is a link": func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.Symlink(other, filepath.Join(path, "cur")))
		},
	} {
		path := filepath.Join(dir, what)
		must(t, prepare(path))
		if _, err := Open(vfs.OS{}, path); !errors.Is(err, ErrNotOurs) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := names(t, other); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if err := Ours(vfs.OS{}, filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	if _, err := (&Folder{}).SetFlags("x", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
