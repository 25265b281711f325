package identity

import (
	"fmt"
	"path/filepath"

	"toastmaster/internal/vfs"
)

// Verify is nil when what was found at a place is a part of the instance id, and whole.
// Else the error is absent, the part's own word for that, and says what the place has,
// or lacks.
func Verify(absent error, place string, f Found, id ID) error {
	switch {
	case f.State == Absent:
		return fmt.Errorf("%w: %s is missing", absent, place)
	case f.State != Marked || f.ID != id:
		return fmt.Errorf("%w: %s has the instance id %q, not %q", absent, place, f.ID, id)
	case f.Lacks != "":
		return fmt.Errorf("%w: %s is missing", absent, f.Lacks)
	}
	return nil
}

// VerifyFolder asks only whose a place is, by the file in dir, which costs one read: for
// who asks before each message. An error of the disk is not absent.
func VerifyFolder(absent error, fsys vfs.FS, place, dir string, id ID) error {
	found, err := Read(fsys, dir)
	if err != nil {
		return err
	}
	if found == "" {
		return fmt.Errorf("%w: %s is missing", absent, filepath.Join(dir, File))
	}
	return Verify(absent, place, Found{State: Marked, ID: found}, id)
}
