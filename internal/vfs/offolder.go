package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// OfFolder is the real file system where several users work in it. What root makes belongs to whom its folder
// belongs, so that a command of root leaves nothing that others cannot use. With Group, the group of a file may
// what its owner may, if the umask of the process lets it: that is for folders with the set-group-ID bit, whose
// files are of one group whoever makes them.
type OfFolder struct {
	OS
	Group bool
}

// OnDisk says that f is the real file system, and group that its files are for a group.
func OnDisk(f FS) (is, group bool) {
	switch f := f.(type) {
	case OS:
		return true, false
	case OfFolder:
		return true, f.Group
	}
	return false, false
}

func (o OfFolder) mode(perm fs.FileMode) fs.FileMode {
	if o.Group {
		perm |= perm & 0o700 >> 3
	}
	return perm
}

// OpenFile is OS.OpenFile.
func (o OfFolder) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if flag&os.O_CREATE == 0 {
		return o.OS.OpenFile(name, flag, perm)
	}
	perm = o.mode(perm)
	if os.Geteuid() != 0 {
		return o.OS.OpenFile(name, flag, perm)
	}
	_, err := os.Lstat(name)
	made := errors.Is(err, fs.ErrNotExist)
	f, err := open(name, name, flag, perm)
	if err != nil {
		return nil, err
	}
	if made {
		if err := give(f, filepath.Dir(name), perm); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// OpenTemp is OS.OpenTemp.
func (o OfFolder) OpenTemp(dir string, perm fs.FileMode) (File, error) {
	perm = o.mode(perm)
	f, err := o.OS.OpenTemp(dir, perm)
	if err != nil || os.Geteuid() != 0 {
		return f, err
	}
	own, ok := f.(*osFile)
	if !ok {
		return f, nil
	}
	if err := give(own, dir, perm); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// give makes a file that root has made the folder's owner's.
func give(f *osFile, dir string, perm fs.FileMode) error {
	uid, gid, _, err := owner(dir)
	if err != nil {
		return err
	}
	return errors.Join(
		f.do("fchown", func(fd int) error { return unix.Fchown(fd, uid, gid) }),
		f.do("fchmod", func(fd int) error { return unix.Fchmod(fd, uint32(perm.Perm())) }),
	)
}

// owner is whose a folder is, and whether its group is that of what is made in it.
func owner(dir string) (uid, gid int, inherits bool, err error) {
	st := syscall.Stat_t{}
	if err := syscall.Stat(dir, &st); err != nil {
		return 0, 0, false, &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	return int(st.Uid), int(st.Gid), st.Mode&syscall.S_ISGID != 0, nil
}

// Mkdir is OS.Mkdir.
func (o OfFolder) Mkdir(name string, perm fs.FileMode) error {
	perm = o.mode(perm)
	if err := os.Mkdir(name, perm); err != nil || os.Geteuid() != 0 {
		return err
	}
	uid, gid, inherits, err := owner(filepath.Dir(name))
	if err != nil {
		return err
	}
	if inherits {
		perm |= fs.ModeSetgid
	}
	return Give(name, func(fs.FileInfo) (int, int, fs.FileMode, error) { return uid, gid, perm, nil })
}

// MkdirAll is OS.MkdirAll.
func (o OfFolder) MkdirAll(name string, perm fs.FileMode) error {
	if os.Geteuid() != 0 {
		return os.MkdirAll(name, o.mode(perm))
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return nil
	}
	if up := filepath.Dir(name); up != name {
		if err := o.MkdirAll(up, perm); err != nil {
			return err
		}
	}
	if err := o.Mkdir(name, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(name)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
	}
	return err
}

// Chtimes is OS.Chtimes. The times of another user's file can be changed by nobody else: with Group they
// stay, for the mode of the file says that it is ours to write all the same.
func (o OfFolder) Chtimes(name string, atime, mtime time.Time) error {
	err := o.OS.Chtimes(name, atime, mtime)
	if o.Group && errors.Is(err, syscall.EPERM) {
		return nil
	}
	return err
}
