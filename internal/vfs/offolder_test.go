package vfs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// of is whose a file is, and its mode.
func of(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d %v", st.Uid, st.Gid, info.Mode()&(fs.ModePerm|fs.ModeSetgid))
}

// TestOfFolder: what root makes is whose its folder is, with the bits of the group where that is asked for; who is
// not root makes his own.
func TestOfFolder(t *testing.T) {
	t.Parallel()
	for _, group := range []bool{false, true} {
		dir := t.TempDir()
		file, folder := "-rw-------", "-rwx------"
		owner := fmt.Sprintf("%d:%d ", os.Geteuid(), os.Getegid())
		if os.Geteuid() == 0 {
			owner = "20101:20102 "
			if err := os.Chown(dir, 20101, 20102); err != nil {
				t.Fatal(err)
			}
		}
		if group {
			if os.Geteuid() != 0 {
				continue // the umask of the test takes the bits away
			}
			if err := os.Chmod(dir, 0o770|fs.ModeSetgid); err != nil {
				t.Fatal(err)
			}
			file, folder = "-rw-rw----", "grwxrwx---"
		}
		o := OfFolder{Group: group}
		made, err := o.OpenFile(filepath.Join(dir, "file"), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		made.Close()
		temp, err := o.OpenTemp(dir, 0o600)
		if err == nil {
			err = temp.LinkTo(filepath.Join(dir, "temp"))
		}
		if err != nil {
			t.Fatal(err)
		}
		temp.Close()
		if err := o.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := o.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
			t.Errorf("again: %v", err)
		}
		if err := o.MkdirAll(filepath.Join(dir, "file", "c"), 0o700); err == nil {
			t.Error("a folder in a file")
		}
		for name, want := range map[string]string{"file": owner + file, "temp": owner + file, "a": owner + folder, "a/b": owner + folder} {
			if got := of(t, filepath.Join(dir, name)); got != want {
				t.Errorf("group %v, %s: %s, want %s", group, name, got, want)
			}
		}
		// What is there stays whose it is.
		if os.Geteuid() == 0 {
			if err := os.Chown(filepath.Join(dir, "file"), 0, 0); err != nil {
				t.Fatal(err)
			}
			again, err := o.OpenFile(filepath.Join(dir, "file"), os.O_WRONLY|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			again.Close()
			if got := of(t, filepath.Join(dir, "file")); got != "0:0 "+file {
				t.Errorf("opened again: %s", got)
			}
		}
		if err := o.Chtimes(filepath.Join(dir, "file"), time.Time{}, time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
	}
}
