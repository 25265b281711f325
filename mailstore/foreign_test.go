package mailstore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpenRefusesWhatIsNoStore: a wrong store.path must not make a mail store
// of somebody's folder; taking one over is a decision.
func TestOpenRefusesWhatIsNoStore(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	if err := os.MkdirAll(filepath.Join(o.Root, "example.test", "alice", "cur"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), o)
	if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "example.test") {
		t.Fatalf("%v", err)
	}
	if entries, err := os.ReadDir(o.Root); err != nil || len(entries) != 1 {
		t.Errorf("something was made: %v %v", entries, err)
	}
	if err := os.Mkdir(filepath.Join(o.Root, ".toastmaster"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatalf("taken over: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	o.Root = t.TempDir()
	if err := os.Mkdir(filepath.Join(o.Root, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Check(o.FS, o.Root); err != nil {
		t.Errorf("a new file system: %v", err)
	}
}
