package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes a small file so that after a crash the old one or the new one is
// there, whole; it is durable, with its name, when Replace returns nil. Meanwhile
// there is a file name.new; what has this name before, left by a crash or a link that
// somebody has put there, is removed and not written through. Two may not replace one
// file at the same time.
func Replace(fsys FS, name string, content []byte) error {
	temp := name + ".new"
	if err := fsys.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(temp, name); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// Move renames a file into another directory, durably. The new name must be durable
// before the old directory may be synced, by anybody: else the file is in neither
// after a power loss. So when that fails the file goes back. moved says where it is
// when Move returns, also with an error: only the sync of the old directory failed,
// or it could not go back.
func Move(fsys FS, oldName, newName string) (moved bool, err error) {
	if err := fsys.Rename(oldName, newName); err != nil {
		return false, err
	}
	if err := fsys.SyncDir(filepath.Dir(newName)); err != nil {
		back := fsys.Rename(newName, oldName)
		return back != nil, errors.Join(err, back)
	}
	return true, fsys.SyncDir(filepath.Dir(oldName))
}

// MoveAway is Move of a file that is of no use any more where it is: it is moved when
// its new name is durable. Where only the sync of the old directory failed, a power
// loss may bring the old name back, too. A file that is gone from its old place and
// in its new one already is moved, too.
func MoveAway(fsys FS, oldName, newName string) error {
	_, err := Move(fsys, oldName, newName)
	if err == nil {
		return nil
	}
	if _, statErr := fsys.Stat(oldName); !errors.Is(statErr, fs.ErrNotExist) {
		return err
	}
	if _, statErr := fsys.Stat(newName); statErr != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(newName))
}
