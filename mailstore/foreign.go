package mailstore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"toastmaster/internal/vfs"
	"toastmaster/mailstore/volume"
)

// lostFound is what the root of a file system has.
const lostFound = "lost+found"

// Check looks whether root may be a store's: it is ErrForeign when it has
// something in it and not the folder .toastmaster. That folder is what takes a
// tree over: of Dovecot, or one restored without it (Create, or by hand).
func Check(fsys vfs.FS, root string) error {
	marker := filepath.Join(root, Private)
	if own, err := volume.Exists(fsys, marker); own || err != nil {
		return err
	}
	entries, err := fsys.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.Name() != lostFound {
			return fmt.Errorf("%w: %s has %s in it; if it is a mail store to be taken over, `toastmaster init --adopt store` does it", ErrForeign, root, e.Name())
		}
	}
	return err
}
