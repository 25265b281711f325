package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type tempKind uint8

const (
	notTemp tempKind = iota
	unnamed
	named
)

// osFile is an open file. It is not *os.File: that one asks for the file's
// flags when it is made, and each operation on the descriptor goes through two
// closures. A regular file needs no poller.
type osFile struct {
	fd   int
	name string
	temp tempKind
	// users are the operations under way, and closing once Close was called:
	// the last one closes, so that no descriptor is used that is already
	// another file's.
	users atomic.Int64
}

const closing = 1 << 62

// do runs op with the descriptor held open.
func (f *osFile) do(name string, op func(fd int) error) error {
	if err := f.enter(name); err != nil {
		return err
	}
	err := ignoringEINTR(func() error { return op(f.fd) })
	f.leave()
	return f.wrap(name, err)
}

func (f *osFile) enter(name string) error {
	for {
		n := f.users.Load()
		if n&closing != 0 {
			return f.wrap(name, os.ErrClosed)
		}
		if f.users.CompareAndSwap(n, n+1) {
			return nil
		}
	}
}

func (f *osFile) leave() {
	if f.users.Add(-1) == closing {
		_ = unix.Close(f.fd) // Close has returned: there is nobody to tell
	}
}

func (f *osFile) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// Close closes the descriptor, now or at the end of the last operation.
func (f *osFile) Close() error {
	before := f.users.Or(closing)
	if before&closing != 0 {
		return f.wrap("close", os.ErrClosed)
	}
	var err error
	if f.temp == named {
		// Already gone when it was linked.
		if err = os.Remove(f.name); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if before == 0 {
		err = errors.Join(err, f.wrap("close", unix.Close(f.fd)))
	}
	return err
}

func (f *osFile) Name() string { return f.name }

func (f *osFile) Read(p []byte) (n int, err error) {
	err = f.do("read", func(fd int) error {
		n, err = unix.Read(fd, p)
		return err
	})
	n = max(n, 0)
	if n == 0 && err == nil && len(p) > 0 {
		return 0, io.EOF
	}
	return n, err
}

func (f *osFile) Write(p []byte) (int, error) {
	return f.all(p, "write", func(fd, _ int, rest []byte) (int, error) { return unix.Write(fd, rest) })
}

func (f *osFile) ReadAt(p []byte, off int64) (int, error) {
	return f.all(p, "read", func(fd, done int, rest []byte) (int, error) {
		n, err := unix.Pread(fd, rest, off+int64(done))
		if n == 0 && err == nil {
			err = io.EOF
		}
		return n, err
	})
}

func (f *osFile) WriteAt(p []byte, off int64) (int, error) {
	return f.all(p, "write", func(fd, done int, rest []byte) (int, error) {
		return unix.Pwrite(fd, rest, off+int64(done))
	})
}

// all repeats op until p is done; it counts what was done before an error.
func (f *osFile) all(p []byte, name string, op func(fd, done int, rest []byte) (int, error)) (int, error) {
	if err := f.enter(name); err != nil {
		return 0, err
	}
	defer f.leave()
	for done := 0; ; {
		if done == len(p) {
			return done, nil
		}
		n, err := op(f.fd, done, p[done:])
		done += max(n, 0)
		switch {
		case err == unix.EINTR:
		case err == io.EOF:
			return done, err
		case err != nil:
			return done, f.wrap(name, err)
		case n == 0:
			return done, f.wrap(name, io.ErrShortWrite)
		}
	}
}

func (f *osFile) Seek(offset int64, whence int) (at int64, err error) {
	err = f.do("seek", func(fd int) error {
		at, err = unix.Seek(fd, offset, whence)
		return err
	})
	return at, err
}

func (f *osFile) Truncate(size int64) error {
	return f.do("truncate", func(fd int) error { return unix.Ftruncate(fd, size) })
}

func (f *osFile) Sync() error { return f.do("fsync", unix.Fsync) }

func (f *osFile) Datasync() error { return f.do("fdatasync", unix.Fdatasync) }

func (f *osFile) Chmod(perm fs.FileMode) error {
	return f.do("fchmod", func(fd int) error { return unix.Fchmod(fd, uint32(perm.Perm())) })
}

func (f *osFile) SyncFS() error { return f.do("syncfs", unix.Syncfs) }

func (f *osFile) Allocate(size int64) error {
	err := f.do("fallocate", func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) {
		return f.Truncate(size)
	}
	return err
}

func (f *osFile) WriteV(bufs [][]byte, off int64) (int64, error) {
	for len(bufs) > 0 && len(bufs[0]) == 0 {
		bufs = bufs[1:]
	}
	if len(bufs) == 1 {
		n, err := f.WriteAt(bufs[0], off)
		return int64(n), err
	}
	return f.allV(bufs, func(fd int, done int64, rest [][]byte) (int, error) {
		return unix.Pwritev(fd, rest, off+done)
	})
}

// allV is all for a write of many buffers, at most maxIOV at once. The first
// is not empty.
func (f *osFile) allV(bufs [][]byte, op func(fd int, done int64, rest [][]byte) (int, error)) (done int64, err error) {
	err = f.do("pwritev", func(fd int) error {
		for len(bufs) > 0 {
			n, err := op(fd, done, bufs[:min(len(bufs), maxIOV)])
			if err != nil {
				return err // do repeats an EINTR with what is left
			}
			if n == 0 {
				return io.ErrShortWrite
			}
			done += int64(n)
			bufs = advance(bufs, n)
		}
		return nil
	})
	return done, err
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
		if err := os.Link(f.name, newName); err != nil {
			return err
		}
		return os.Remove(f.name)
	}
	return f.do("linkat", func(fd int) error {
		// Before Linux 6.10 this needs CAP_DAC_READ_SEARCH, without which it
		// fails with ENOENT; the name in /proc does not, but takes longer.
		err := unix.Linkat(fd, "", unix.AT_FDCWD, newName, unix.AT_EMPTY_PATH)
		if err != unix.ENOENT {
			return err
		}
		return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, newName, unix.AT_SYMLINK_FOLLOW)
	})
}

func (f *osFile) TryLock() error {
	err := f.do("flock", func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

func (f *osFile) Unlock() error {
	return f.do("flock", func(fd int) error { return unix.Flock(fd, unix.LOCK_UN) })
}

func (f *osFile) TryLockAt(off int64) error {
	err := f.setLock(unix.F_WRLCK, off)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return ErrLocked
	}
	return err
}

func (f *osFile) UnlockAt(off int64) error { return f.setLock(unix.F_UNLCK, off) }

func (f *osFile) LockedAt(off int64) (locked bool, err error) {
	err = f.do("lock", func(fd int) error {
		l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: off, Len: 1}
		err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &l)
		locked = l.Type != unix.F_UNLCK
		return err
	})
	return locked && err == nil, err
}

func (f *osFile) setLock(kind int16, off int64) error {
	return f.do("lock", func(fd int) error {
		l := unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: off, Len: 1}
		return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &l)
	})
}

func (f *osFile) Stat() (fs.FileInfo, error) {
	i := &info{name: filepath.Base(f.name)}
	if err := f.do("stat", func(fd int) error { return syscall.Fstat(fd, &i.st) }); err != nil {
		return nil, err
	}
	return i, nil
}

// info is what stat(2) says.
type info struct {
	name string
	st   syscall.Stat_t
}

func (i *info) Name() string       { return i.name }
func (i *info) Size() int64        { return i.st.Size }
func (i *info) ModTime() time.Time { return time.Unix(i.st.Mtim.Unix()) }
func (i *info) IsDir() bool        { return i.Mode().IsDir() }
func (i *info) Sys() any           { return &i.st }

func (i *info) Mode() fs.FileMode {
	mode := fs.FileMode(i.st.Mode & 0o777)
	switch i.st.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		mode |= fs.ModeDir
	case syscall.S_IFLNK:
		mode |= fs.ModeSymlink
	case syscall.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case syscall.S_IFSOCK:
		mode |= fs.ModeSocket
	case syscall.S_IFBLK:
		mode |= fs.ModeDevice
	case syscall.S_IFCHR:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	}
	if i.st.Mode&syscall.S_ISUID != 0 {
		mode |= fs.ModeSetuid
	}
	if i.st.Mode&syscall.S_ISGID != 0 {
		mode |= fs.ModeSetgid
	}
	if i.st.Mode&syscall.S_ISVTX != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}
