package identity_test

import (
	"os"
	"path/filepath"
	"testing"

	"toastmaster/internal/identity"
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
