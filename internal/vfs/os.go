package vfs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked is the answer of File.Lock(false) when another holder exists.
var ErrLocked = errors.New("vfs: locked by another process")

// maxIOV is Linux's UIO_MAXIOV: the most buffers one pwritev(2) takes.
const maxIOV = 1024

// OS is the real file system.
type OS struct{}

// OpenFile has the flags and errors of os.OpenFile. It does not call it: that
// one offers each file to the poller, which a regular file refuses after four
// system calls, half of the price of opening a message.
func (OS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	fd := -1
	err := ignoringEINTR(func() (err error) {
		fd, err = unix.Open(name, flag|unix.O_CLOEXEC|unix.O_LARGEFILE, uint32(perm.Perm()))
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &osFile{File: os.NewFile(uintptr(fd), name)}, nil
}

// OpenTemp uses O_TMPFILE and falls back to a unique name where the file
// system has no such thing (NFS, some FUSE).
func (OS) OpenTemp(dir string, perm fs.FileMode) (File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, uint32(perm.Perm()))
	if err == nil {
		return &osFile{File: os.NewFile(uintptr(fd), filepath.Join(dir, "(unnamed)")), temp: unnamed}, nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EINVAL) {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	name := filepath.Join(dir, ".tmp-"+rand.Text())
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f, temp: named}, nil
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
func (OS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// Chtimes is os.Chtimes.
func (OS) Chtimes(name string, atime, mtime time.Time) error { return os.Chtimes(name, atime, mtime) }

// SyncDir opens and fsyncs the directory.
func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

type tempKind uint8

const (
	notTemp tempKind = iota
	unnamed
	named
)

type osFile struct {
	*os.File
	temp tempKind
}

func (f *osFile) Datasync() error {
	return f.control("fdatasync", func(fd int) error {
		return ignoringEINTR(func() error { return unix.Fdatasync(fd) })
	})
}

func (f *osFile) SyncFS() error {
	return f.control("syncfs", func(fd int) error {
		return ignoringEINTR(func() error { return unix.Syncfs(fd) })
	})
}

func (f *osFile) Allocate(size int64) error {
	err := f.control("fallocate", func(fd int) error {
		return ignoringEINTR(func() error { return unix.Fallocate(fd, 0, 0, size) })
	})
	if errors.Is(err, unix.EOPNOTSUPP) {
		return f.Truncate(size)
	}
	return err
}

func (f *osFile) WriteV(bufs [][]byte, off int64) (int64, error) {
	var total int64
	err := f.control("pwritev", func(fd int) error {
		for len(bufs) > 0 {
			n, err := unix.Pwritev(fd, bufs[:min(len(bufs), maxIOV)], off+total)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return err
			}
			total += int64(n)
			bufs = advance(bufs, n)
		}
		return nil
	})
	return total, err
}

// advance drops the first n written bytes from bufs without changing the
// caller's slices: only a copied head element is shortened.
func advance(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n == 0 || len(bufs) == 0 {
		return bufs
	}
	rest := append([][]byte{bufs[0][n:]}, bufs[1:]...)
	return rest
}

func (f *osFile) LinkTo(newName string) error {
	if f.temp == named {
		if err := os.Link(f.Name(), newName); err != nil {
			return err
		}
		return os.Remove(f.Name())
	}
	return f.control("linkat", func(fd int) error {
		// AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH; the /proc name does not.
		return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, newName, unix.AT_SYMLINK_FOLLOW)
	})
}

func (f *osFile) Close() error {
	if f.temp == named {
		// Already gone when it was linked.
		if err := os.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, f.File.Close())
		}
	}
	return f.File.Close()
}

func (f *osFile) Lock(wait bool) error {
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	err := f.control("flock", func(fd int) error {
		return ignoringEINTR(func() error { return unix.Flock(fd, how) })
	})
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

func (f *osFile) Unlock() error {
	return f.control("flock", func(fd int) error { return unix.Flock(fd, unix.LOCK_UN) })
}

// control runs op with the descriptor held open; a plain f.Fd() would switch
// the file to blocking mode and race with Close.
func (f *osFile) control(name string, op func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return &fs.PathError{Op: name, Path: f.Name(), Err: err}
	}
	var opErr error
	if err := raw.Control(func(fd uintptr) { opErr = op(int(fd)) }); err != nil {
		return &fs.PathError{Op: name, Path: f.Name(), Err: err}
	}
	if opErr != nil {
		return &fs.PathError{Op: name, Path: f.Name(), Err: opErr}
	}
	return nil
}

func ignoringEINTR(op func() error) error {
	for {
		if err := op(); err != unix.EINTR {
			return err
		}
	}
}
