package vfs

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestGiveFollowsNoLink: a link in the place of what is given is refused, and what it leads to stays as it is.
func TestGiveFollowsNoLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other, link, socket := filepath.Join(dir, "other"), filepath.Join(dir, "link"), filepath.Join(dir, "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := errors.Join(os.WriteFile(other, nil, 0o600), os.Symlink(other, link)); err != nil {
		t.Fatal(err)
	}
	want := func(fs.FileInfo) (int, int, fs.FileMode, error) { return os.Geteuid(), os.Getegid(), 0o660, nil }
	if err := Give(link, want); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link: %v", err)
	}
	if info, err := os.Stat(other); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for _, path := range []string{socket, other} {
		if err := Give(path, want); err != nil {
			t.Errorf("%v", err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o660 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	if err := Give(dir, func(info fs.FileInfo) (int, int, fs.FileMode, error) {
		return -1, -1, info.Mode() | fs.ModeSetgid, nil
	}); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode()&fs.ModeSetgid == 0 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}
