package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"toastmaster/internal/identity"
	"toastmaster/internal/vfs"
)

// Check looks whether dir may be a queue's: it is ErrForeign when it has
// something in it that no queue makes, and not the file epoch of a queue that
// was open before.
func Check(fsys vfs.FS, dir string) error {
	_, err := fsys.Stat(filepath.Join(dir, fileEpoch))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// A start that was interrupted leaves some of these. What lies in the root
	// of a file system is nobody's mail.
	own := []string{dirContent, dirCorrupt, string(Deferred), string(Hold), dirJournal, LockFile, fileEpoch + ".new", "lost+found"}
	for _, e := range entries {
		if !slices.Contains(own, e.Name()) && !strings.HasPrefix(e.Name(), identity.File) {
			return fmt.Errorf("%w: %s has %s in it, and no file %s; move it away", ErrForeign, dir, e.Name(), fileEpoch)
		}
	}
	return err
}
