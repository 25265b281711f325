package peers

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// SmallDisk is a folder that is an ext4 file system of 16 MiB, in which all users may write, with a fifth of it for root. "" says that this machine
// mounts nothing.
func SmallDisk(t testing.TB) string {
	t.Helper()
	dir := TempDir(t)
	image, at := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 16<<20), os.Mkdir(at, 0o755)); err != nil {
		t.Fatal(err)
	}
	mkfs, mount := Need(t, "/usr/sbin/mkfs.ext4", "e2fsprogs"), Need(t, "/usr/bin/mount", "mount")
	if out, err := exec.Command(mkfs, "-q", "-m", "20", image).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := exec.Command(mount, "-o", "loop", image, at).CombinedOutput(); err != nil {
		t.Logf("this machine mounts nothing: %v %s", err, out)
		return ""
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	if err := os.Chmod(at, 0o777); err != nil {
		t.Fatal(err)
	}
	return at
}
