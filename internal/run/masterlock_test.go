package run

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTheLockIsNobodysLink: a link in the place of the file of master's lock is not followed, and what it leads to
// stays as it is.
func TestTheLockIsNobodysLink(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(target, path string) error{
		"a link": os.Symlink, "another name": os.Link, "a pipe": func(_, path string) error { return unix.Mkfifo(path, 0o644) },
		"a link to nothing": func(target, path string) error { return os.Symlink(target+".new", path) },
	} {
		dir := t.TempDir()
		target, path := filepath.Join(dir, "shadow"), filepath.Join(dir, "master.pid")
		if err := os.WriteFile(target, []byte("root"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := put(target, path); err != nil {
			t.Fatal(err)
		}
		if f, err := openLock(path); err == nil {
			t.Errorf("%s is opened: %v", name, f.Close())
		}
		if text, err := os.ReadFile(target); err != nil || string(text) != "root" {
			t.Errorf("%s: %q %v", name, text, err)
		}
		if _, err := os.Stat(target + ".new"); err == nil {
			t.Errorf("%s: a file was made", name)
		}
	}
	path := filepath.Join(t.TempDir(), "master.pid")
	for range 2 {
		f, err := openLock(path)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}
