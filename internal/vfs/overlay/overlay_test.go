package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/vfs"
)

// tree is what a file system has below a folder: folders, and the octets of files.
func tree(t *testing.T, f vfs.FS, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := f.ReadDir(filepath.Join(root, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := filepath.Join(dir, e.Name())
			info, err := e.Info()
			if err != nil || info.IsDir() != e.IsDir() {
				t.Fatal(name, err)
			}
			if e.IsDir() {
				all[name] = "folder"
				walk(name)
				continue
			}
			h, err := f.OpenFile(filepath.Join(root, name), os.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			octets, err := io.ReadAll(h)
			if st, serr := f.Stat(filepath.Join(root, name)); err != nil || serr != nil || st.Size() != int64(len(octets)) {
				t.Fatal(name, err, serr, len(octets))
			}
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			all[name] = string(octets)
		}
	}
	walk("")
	return all
}

// step is an operation with the names and numbers of a seed, on either file system.
func step(f vfs.FS, root string, r *rand.Rand) (did string, err error) {
	name := func() string {
		return filepath.Join(root, []string{"a", "b", "d/a", "d/b", "e/a", "e/f/a", "new"}[r.IntN(7)])
	}
	octets := func() []byte { return bytes.Repeat([]byte{byte('a' + r.IntN(26))}, r.IntN(200_000)) }
	x, y, data, off := name(), name(), octets(), r.Int64N(300_000)
	use := func(flag int, do func(vfs.File) error) error {
		h, err := f.OpenFile(x, flag, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(do(h), h.Close())
	}
	switch n := r.IntN(14); n {
	case 0:
		return "write " + x, use(os.O_RDWR|os.O_CREATE, func(h vfs.File) error { _, err := h.WriteAt(data, off); return err })
	case 1:
		return "write what is there " + x, use(os.O_WRONLY, func(h vfs.File) error { _, err := h.WriteAt(data, off); return err })
	case 2:
		return "append " + x, use(os.O_WRONLY|os.O_APPEND, func(h vfs.File) error { _, err := h.Write(data); return err })
	case 3:
		return "replace " + x, use(os.O_WRONLY|os.O_CREATE|os.O_TRUNC, func(h vfs.File) error { _, err := h.Write(data); return err })
	case 4:
		return "exclusive " + x, use(os.O_WRONLY|os.O_CREATE|os.O_EXCL, func(h vfs.File) error { _, err := h.WriteV([][]byte{data, []byte("x"), data}, 0); return err })
	case 5:
		return "truncate " + x, use(os.O_RDWR, func(h vfs.File) error { return h.Truncate(off) })
	case 6:
		return "allocate " + x, use(os.O_RDWR, func(h vfs.File) error { return h.Allocate(off + 1) })
	case 7:
		return "rename " + x + " " + y, f.Rename(x, y)
	case 8:
		return "link " + x + " " + y, f.Link(x, y)
	case 9:
		return "remove " + x, f.Remove(x)
	case 10:
		return "mkdir", f.Mkdir(filepath.Join(root, []string{"d", "e", "e/f", "g/h"}[r.IntN(4)]), 0o700)
	case 11:
		return "mkdirall", f.MkdirAll(filepath.Join(root, []string{"d", "e/f", "g/h/i"}[r.IntN(3)]), 0o700)
	case 12:
		return "temp " + x, func() error {
			h, err := f.OpenTemp(root, 0o600)
			if err != nil {
				return err
			}
			_, err = h.Write(data)
			return errors.Join(err, h.LinkTo(x), h.Close())
		}()
	default:
		return "read " + x, use(os.O_RDONLY, func(h vfs.File) error {
			if _, err := h.Seek(off/2, io.SeekStart); err != nil {
				return err
			}
			_, err := h.Read(make([]byte, 100))
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		})
	}
}

// fill makes what is below.
func fill(t *testing.T, root string) {
	t.Helper()
	for _, dir := range []string{"", "d", "e"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "d/a", "e/a"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(strings.Repeat(name, 60_000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// kind is what an error is, as far as programs look.
func kind(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	case errors.Is(err, fs.ErrExist):
		return "there"
	}
	return "failed: " + err.Error()
}

// TestSameAsOS: every operation has the effect and the kind of error that it has on the disk, and what is
// below stays as it is.
func TestSameAsOS(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		below, real := filepath.Join(t.TempDir(), "below"), filepath.Join(t.TempDir(), "real")
		fill(t, below)
		fill(t, real)
		before := tree(t, vfs.OS{}, below)
		over := New(vfs.OS{}, clock.System{})
		ours, theirs := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 1))
		var done []string
		for range 60 {
			did, err := step(over, below, ours)
			_, want := step(vfs.OS{}, real, theirs)
			done = append(done, fmt.Sprintf("%s: %s", strings.ReplaceAll(did, below, ""), kind(want)))
			if kind(err) != kind(want) {
				t.Fatalf("seed %d: %s\nours %v, the disk %v", seed, strings.Join(done, "\n"), err, want)
			}
		}
		got, want := tree(t, over, below), tree(t, vfs.OS{}, real)
		if !maps.Equal(got, want) {
			for name := range want {
				if got[name] != want[name] {
					t.Errorf("%s: %d octets, want %d", name, len(got[name]), len(want[name]))
				}
			}
			t.Fatalf("seed %d:\n%s\nours %q, the disk %q", seed, strings.Join(done, "\n"), slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
		if !maps.Equal(before, tree(t, vfs.OS{}, below)) {
			t.Fatalf("seed %d changed what is below", seed)
		}
	}
}

// TestTimesAndLocks: a time is kept here, and a lock below hinders nobody.
func TestTimesAndLocks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, dir)
	over := New(vfs.OS{}, clock.System{})
	at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	name := filepath.Join(dir, "a")
	if err := over.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
	here, err := over.Stat(name)
	below, berr := os.Stat(name)
	if err != nil || berr != nil || !here.ModTime().Equal(at) || below.ModTime().Equal(at) {
		t.Error(err, berr)
	}
	held, err := (vfs.OS{}).OpenFile(name, os.O_RDWR, 0)
	if err != nil || held.TryLock() != nil {
		t.Fatal(err)
	}
	defer held.Close()
	h, err := over.OpenFile(name, os.O_RDWR, 0)
	if err != nil || h.TryLock() != nil {
		t.Error(err)
	}
	h.Close()
	if err := held.Unlock(); err != nil || held.TryLock() != nil {
		t.Error("the lock below was touched")
	}
}
