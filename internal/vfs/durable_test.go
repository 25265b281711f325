package vfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

func text(t *testing.T, d vfs.FS, name string) string {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 100)
	n, _ := f.ReadAt(b, 0)
	return string(b[:n])
}

// prepared has "old" durably in /a/f, and an empty /b.
func prepared(t *testing.T) *faultfs.Disk {
	t.Helper()
	d := faultfs.NewDisk()
	for _, dir := range []string{"/a", "/b"} {
		if err := errors.Join(d.Mkdir(dir, 0o700), d.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
	}
	if err := vfs.Replace(d, "/a/f", []byte("old")); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestReplaceFollowsNoLink: what somebody has put where the new file is written is not
// written through, be it a symbolic link or another name of a file.
func TestReplaceFollowsNoLink(t *testing.T) {
	t.Parallel()
	for what, put := range map[string]func(oldName, newName string) error{"symbolic link": os.Symlink, "link": os.Link} {
		dir := t.TempDir()
		victim, name := filepath.Join(dir, "victim"), filepath.Join(dir, "f")
		if err := errors.Join(os.WriteFile(victim, []byte("precious"), 0o644), put(victim, name+".new")); err != nil {
			t.Fatal(err)
		}
		if err := vfs.Replace(vfs.OS{}, name, []byte("new")); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := text(t, vfs.OS{}, victim); got != "precious" {
			t.Errorf("%s: it was written through: %q", what, got)
		}
		if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 || text(t, vfs.OS{}, name) != "new" {
			t.Errorf("%s: %v %v", what, info, err)
		}
	}
}

// TestEachFailureLeavesOneWhole: whichever operations fail, once or from then on,
// and whenever the power goes, a file that is replaced has its old or its new text,
// and one that is moved is somewhere. What returned nil is durable.
func TestEachFailureLeavesOneWhole(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]struct {
		run   func(fsys vfs.FS) error
		check func(d vfs.FS, done bool) error
	}{
		"replace": {
			func(fsys vfs.FS) error { return vfs.Replace(fsys, "/a/f", []byte("new")) },
			func(d vfs.FS, done bool) error {
				if got := text(t, d, "/a/f"); got != "new" && (done || got != "old") {
					return fmt.Errorf("it has %q", got)
				}
				return nil
			},
		},
		"move": {
			func(fsys vfs.FS) error {
				moved, err := vfs.Move(fsys, "/a/f", "/b/f")
				if at := text(t, fsys, "/b/f"); (at != "") != moved {
					t.Errorf("moved %v, and /b/f has %q", moved, at)
				}
				return err
			},
			func(d vfs.FS, done bool) error {
				a, b := text(t, d, "/a/f"), text(t, d, "/b/f")
				if a != "old" && b != "old" || done && b != "old" {
					return fmt.Errorf("/a/f has %q, /b/f has %q", a, b)
				}
				return nil
			},
		},
		"move away": {
			func(fsys vfs.FS) error { return vfs.MoveAway(fsys, "/a/f", "/b/f") },
			func(d vfs.FS, done bool) error {
				a, b := text(t, d, "/a/f"), text(t, d, "/b/f")
				if a != "old" && b != "old" || done && b != "old" {
					return fmt.Errorf("/a/f has %q, /b/f has %q", a, b)
				}
				return nil
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, always := range []bool{false, true} {
				for n := 1; ; n++ {
					d := prepared(t)
					f := faultfs.Wrap(d)
					if always {
						f.FailFrom(faultfs.Any, n, faultfs.EIO)
					} else {
						f.FailNth(faultfs.Any, n, faultfs.EIO)
					}
					err := do.run(f)
					for what, after := range map[string]vfs.FS{"": d, "power lost, ": d.Crash()} {
						if bad := do.check(after, err == nil); bad != nil {
							t.Errorf("%soperation %d failed (%v), %v: %v", what, n, always, err, bad)
						}
					}
					if f.Count(faultfs.Any) < n {
						break
					}
				}
			}
		})
	}
}
