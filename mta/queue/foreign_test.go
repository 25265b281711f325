package queue

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"toastmaster/internal/vfs"
)

// TestCheck: the folders of a start that was interrupted are a queue's, those
// of another mail system are not.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		names   []string
		foreign bool
	}{
		{nil, false},
		{[]string{"content", "corrupt", "deferred", "hold", "lock", "epoch.new"}, false},
		{[]string{"deferred", "hold", "active", "maildrop"}, true},
		{[]string{"notes"}, true},
		{[]string{"notes", "epoch"}, false},
	} {
		dir := t.TempDir()
		for _, n := range c.names {
			if err := os.Mkdir(filepath.Join(dir, n), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		err := Check(vfs.OS{}, dir)
		if errors.Is(err, ErrForeign) != c.foreign || !c.foreign && err != nil {
			t.Errorf("%v: %v", c.names, err)
		}
	}
	if err := Check(vfs.OS{}, filepath.Join(t.TempDir(), "none")); err != nil {
		t.Error(err)
	}
}
