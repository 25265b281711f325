package parts

import (
	"slices"
	"testing"

	"toastmaster/configs"
)

// TestEveryDirectoryTypeHasARow: what the configuration takes can be opened.
func TestEveryDirectoryTypeHasARow(t *testing.T) {
	t.Parallel()
	var names []string
	for _, row := range directoryTable() {
		names = append(names, row.name)
		c := configs.Default()
		c.Main.DataDir = t.TempDir()
		c.Directory.Type = row.name
		d, closeIt, err := Answers(c)
		if err != nil || d == nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if err := closeIt(); err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	if !slices.Equal(names, configs.DirectoryTypes()) {
		t.Errorf("the rows are %q, directory.type takes %q", names, configs.DirectoryTypes())
	}
	c := configs.Default()
	c.Directory.Type = "none"
	if _, _, err := Answers(c); err == nil {
		t.Error("a directory of an unknown type")
	}
}
