package vfs

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked is the answer of File.TryLock when another holder exists.
var ErrLocked = errors.New("vfs: locked by another process")

// maxIOV is Linux's UIO_MAXIOV: the most buffers one pwritev(2) takes.
const maxIOV = 1024

// OS is the real file system.
type OS struct{}

// OpenFile has the flags and errors of os.OpenFile.
func (OS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := open(name, name, flag, perm)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// open opens path as a file that is called name.
func open(name, path string, flag int, perm fs.FileMode) (*osFile, error) {
	fd := -1
	err := ignoringEINTR(func() (err error) {
		fd, err = unix.Open(path, flag|unix.O_CLOEXEC|unix.O_LARGEFILE, uint32(perm.Perm()))
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &osFile{fd: fd, name: name}, nil
}

// OpenTemp uses O_TMPFILE and falls back to a unique name where the file
// system has no such thing (NFS, some FUSE).
func (OS) OpenTemp(dir string, perm fs.FileMode) (File, error) {
	f, err := open(filepath.Join(dir, "(unnamed)"), dir, unix.O_TMPFILE|os.O_RDWR, perm)
	if err == nil {
		f.temp = unnamed
		return f, nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EINVAL) {
		return nil, err
	}
	name := filepath.Join(dir, ".tmp-"+rand.Text())
	if f, err = open(name, name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm); err != nil {
		return nil, err
	}
	f.temp = named
	return f, nil
}

// Rename is os.Rename.
func (OS) Rename(oldName, newName string) error { return os.Rename(oldName, newName) }

// Link is os.Link.
func (OS) Link(oldName, newName string) error { return os.Link(oldName, newName) }

// Remove is os.Remove.
func (OS) Remove(name string) error { return os.Remove(name) }

// Mkdir is os.Mkdir.
func (OS) Mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }

// MkdirAll is os.MkdirAll.
func (OS) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }

// ReadDir lists in directory order: os.ReadDir would sort, which nobody needs.
func (OS) ReadDir(name string) ([]fs.DirEntry, error) {
	d, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.ReadDir(-1)
}

// Stat is os.Stat.
func (OS) Stat(name string) (fs.FileInfo, error) {
	i := &info{name: filepath.Base(name)}
	if err := ignoringEINTR(func() error { return syscall.Stat(name, &i.st) }); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return i, nil
}

// Lstat is os.Lstat.
func (OS) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }

// Chtimes is os.Chtimes.
func (OS) Chtimes(name string, atime, mtime time.Time) error { return os.Chtimes(name, atime, mtime) }

// Free is statfs(2).
func (OS) Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := ignoringEINTR(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(min(st.Bavail, math.MaxInt64/uint64(max(st.Bsize, 1)))) * st.Bsize, nil
}

// SyncDir opens and fsyncs the directory.
func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func ignoringEINTR(op func() error) error {
	for {
		if err := op(); err != unix.EINTR {
			return err
		}
	}
}
