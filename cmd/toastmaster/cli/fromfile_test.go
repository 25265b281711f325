package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRelocatedFromKeepsTheText: where somebody moved to is a text for people, whose
// commas are part of it; those between the targets of an alias are not.
func TestRelocatedFromKeepsTheText(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.run(0, "", "domain", "add", "a.test")
	file := filepath.Join(t.TempDir(), "relocated")
	if err := os.WriteFile(file, []byte("old@a.test\tRoad 1, Town,\n   Country\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(0, "", "relocated", "add", "--from", file)
	s.wants([]string{"Road 1, Town, Country\n"}, "relocated", "show", "old@a.test")
}
