package mailstore

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"toastmaster/internal/identity"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/volume"
)

// Inspect says what lies at root. It is ErrForeign when that has something in it
// and not the folder .toastmaster; an empty .toastmaster, which somebody made to
// take over a tree of Dovecot's, is Claimed.
func Inspect(fsys vfs.FS, root string) (identity.Found, error) {
	found := identity.Found{}
	if err := Check(fsys, root); err != nil {
		return found, err
	}
	own := filepath.Join(root, Private)
	if there, err := volume.Exists(fsys, own); !there || err != nil {
		return found, err
	}
	outside, err := identity.Entries(fsys, root)
	if err != nil {
		return found, err
	}
	inside, err := identity.Entries(fsys, own)
	if err != nil {
		return found, err
	}
	if found.ID, err = identity.Read(fsys, own); err != nil {
		return found, err
	}
	found.Used = len(outside) > 1
	inside = slices.DeleteFunc(inside, func(name string) bool { return strings.HasPrefix(name, identity.File) })
	switch {
	case found.ID != "":
		found.State = identity.Marked
		if !slices.Contains(inside, firstJournal) {
			found.Lacks = filepath.Join(own, firstJournal)
		}
	case len(inside) == 0:
		found.State = identity.Claimed
	default:
		found.State = identity.Unmarked
	}
	return found, nil
}

// firstJournal is the one that every store has.
const firstJournal = "journal-0"

// Create makes a store of the instance id at root, or what a store there
// lacks, and gives it that id. A folder with something else in it is ErrForeign
// unless adopt is set, which makes a store of it: mail that lies there stays. It
// is durable when Create returns.
func Create(fsys vfs.FS, root string, id identity.ID, adopt bool) error {
	if err := Check(fsys, root); err != nil && !(adopt && errors.Is(err, ErrForeign)) {
		return err
	}
	own := filepath.Join(root, Private)
	for _, dir := range []string{root, own, filepath.Join(own, "spool"), filepath.Join(own, "corrupt"), filepath.Join(own, firstJournal)} {
		if err := fsys.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := errors.Join(fsys.SyncDir(own), fsys.SyncDir(root), fsys.SyncDir(filepath.Dir(root))); err != nil {
		return err
	}
	return identity.Write(fsys, own, id)
}

// mustBe refuses to open another store than that of id, or a part of one.
func mustBe(fsys vfs.FS, root string, id identity.ID) error {
	found, err := Inspect(fsys, root)
	if err != nil {
		return err
	}
	return identity.Verify(ErrAbsent, root, found, id)
}

// Present is nil while the store is in its place. Else it is ErrAbsent and says what
// is missing, or an error of the disk.
func (s *Store) Present() error { return s.vol.Present() }

// accountAt says whether the folder of an account is there. Of a store that is not
// in its place that is not known.
func (s *Store) accountAt(home string) (bool, error) {
	if err := s.vol.RealHome(home); err != nil {
		return false, err
	}
	there, err := volume.Exists(s.vol.FS, home)
	if err == nil && !there {
		err = s.vol.Present()
	}
	return there, err
}
