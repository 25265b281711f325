package sql

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"toastmaster/configs"
)

// The database has the password hashes, so nobody else may read it or what
// lies beside it, even where the folder is open to all.
func TestNewDatabaseIsPrivate(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := t.TempDir()
	path := filepath.Join(dir, "directory.db")
	c := configs.Default().Directory
	if _, err := OpenWriter(t.Context(), Options{Source: path, Params: c}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("opening what is not there: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Fatalf("opening made %v, %v", entries, err)
	}
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	if err := Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	db, err := OpenWriter(t.Context(), Options{Source: path, Params: c})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE t (a)"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) < 2 {
		t.Fatalf("the write-ahead log is missing: %v", entries)
	}
	for _, e := range entries {
		if mode := fileMode(t, filepath.Join(dir, e.Name())); mode != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), mode)
		}
	}
}

// An operator may share the file with a group.
func TestModeOfAnExistingDatabaseStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "directory.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	db, err := OpenWriter(t.Context(), Options{Source: path, Params: configs.Default().Directory})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if mode := fileMode(t, path); mode != 0o640 {
		t.Errorf("mode is %v", mode)
	}
}

func fileMode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}
