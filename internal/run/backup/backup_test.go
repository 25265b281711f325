package backup

import (
	"os"
	"path/filepath"
	"testing"

	archive "toastmaster/internal/backup"
	"toastmaster/internal/clock"
)

// TestCopyTop: a backup has of a folder of ours what cannot be made anew.
func TestCopyTop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"instance", "epoch", "lock", "instance.new", "reserve.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	repo, err := archive.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	w, err := repo.Begin(archive.BeginOptions{Clock: clock.System{}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Begin(storeSection)
	if err != nil {
		t.Fatal(err)
	}
	if err := copyTop(s, dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"instance": true, "epoch": true, "lock": false, "instance.new": false, "reserve.tmp": false} {
		if s.Has(name) != want {
			t.Errorf("%s: %v", name, s.Has(name))
		}
	}
	if err := w.Abandon(); err != nil {
		t.Error(err)
	}
}
