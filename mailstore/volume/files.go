package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/internal/lockorder"
	"toastmaster/internal/vfs"
)

// staleLock is how old a lock file of Dovecot's must be to be broken.
const staleLock = 2 * time.Minute

// maxSaid is how many of them are remembered, in all accounts. It is no parameter: with
// more, something is said again, and ten thousand odd files are told by the first.
const maxSaid = 10000

// said remembers what the log was told, path and reason, until so much was said that it starts
// anew.
type said struct {
	mu    lockorder.Mutex[InnerLock]
	texts map[string]struct{}
}

// SayOnce logs that path is passed over, and why. A cause that passes by itself is not
// said, and so hides none that stays: another process has the lock, nobody waits for
// the answer any more.
func (s *Volume) SayOnce(path, why string, cause error) {
	for _, passing := range []error{ErrBusy, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(cause, passing) {
			return
		}
	}
	key := path + "\x00" + why
	s.odd.mu.Lock()
	_, known := s.odd.texts[key]
	if !known {
		if s.odd.texts == nil || len(s.odd.texts) >= maxSaid {
			s.odd.texts = map[string]struct{}{}
		}
		s.odd.texts[key] = struct{}{}
	}
	s.odd.mu.Unlock()
	if known {
		return
	}
	text := ""
	if cause != nil {
		text = cause.Error()
	}
	s.Log.Warn("passed over in the mail store", "path", path, "why", why, "cause", text)
}

// Odd says that err is about this one file or folder and not about the disk.
func Odd(err error) bool {
	for _, e := range []error{fs.ErrPermission, unix.ENOTDIR, unix.EISDIR, unix.ELOOP, unix.ENXIO, unix.ENODEV, ErrNoFile, ErrNeverStored} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// ErrNoFile is about a name that is no regular file, ErrNeverStored about one that is a name
// and no more: the power failed before what was in it was on the disk, and before the
// journal was, so nobody was told that it is stored. Both are odd.
var (
	ErrNoFile      = errors.New("not a regular file")
	ErrNeverStored = errors.New("empty, though its name says how long it is: the power failed before it was answered for, and it was never stored. It may be removed")
)

// RegularFile is an open regular file.
type RegularFile struct {
	vfs.File
	Info fs.FileInfo
}

// OpenRegular opens a file that may be anything, and refuses what is none.
func OpenRegular(fsys vfs.FS, name string, flag int) (f RegularFile, err error) {
	// Without O_NONBLOCK a named pipe would be waited for.
	if f.File, err = fsys.OpenFile(name, flag|unix.O_NONBLOCK|unix.O_NOCTTY, 0); err != nil {
		return f, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: ErrNoFile}
	}
	if err != nil {
		return f, errors.Join(err, f.Close())
	}
	f.Info = info
	return f, nil
}

// Stamp tells one state of a small file from another; the zero stamp is a file
// that is not there.
type Stamp struct{ mtime, size int64 }

// FileStamp is the stamp of a file.
func FileStamp(fsys vfs.FS, name string) (Stamp, error) {
	info, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Stamp{}, nil
	}
	if err != nil {
		return Stamp{}, err
	}
	return Stamp{info.ModTime().UnixNano(), info.Size()}, nil
}

// ReadFile reads a small file; a missing one is empty.
func ReadFile(fsys vfs.FS, name string) ([]byte, error) {
	f, err := OpenRegular(fsys, name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// ownSuffix is of the file that becomes NAME.lock: as long as it stands beside that, the
// lock is one of ours.
const ownSuffix = ".toastmaster"

// ReplaceLocked writes a file as Dovecot does: name.lock is the lock and,
// renamed, the new file. It reports false when somebody else holds the lock. The caller
// keeps all other processes of ours away, so a lock of ours that is there was left by one
// that was killed, and is broken at once; Dovecot's after two minutes.
func (s *Volume) ReplaceLocked(name string, data func() ([]byte, error)) (done bool, err error) {
	lock, own := name+".lock", name+ownSuffix
	f, err := s.openOwn(own, lock)
	if err != nil {
		return false, err
	}
	defer func() {
		if gone := s.FS.Remove(own); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}()
	if done, err = s.takeLock(own, lock); !done || err != nil {
		return false, errors.Join(err, f.Close())
	}
	b, err := data()
	if err == nil {
		_, err = f.Write(b)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.FS.Rename(lock, name)
	}
	if err != nil {
		return false, errors.Join(err, s.FS.Remove(lock))
	}
	return true, nil
}

// openOwn makes the file that becomes the lock. One that is there was left by a killed
// process; if it is the lock already, that goes first.
func (s *Volume) openOwn(own, lock string) (vfs.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := s.FS.OpenFile(own, flags, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if same, err := sameFile(s.FS, own, lock); err != nil {
		return nil, err
	} else if same {
		if err := s.FS.Remove(lock); err != nil {
			return nil, err
		}
	}
	if err := s.FS.Remove(own); err != nil {
		return nil, err
	}
	return s.FS.OpenFile(own, flags, 0o600)
}

// takeLock gives the file the name of the lock; false when another program has it.
func (s *Volume) takeLock(own, lock string) (bool, error) {
	err := s.FS.Link(own, lock)
	if !errors.Is(err, fs.ErrExist) {
		return err == nil, err
	}
	info, err := s.FS.Stat(lock)
	if err != nil {
		return false, nil // given back meanwhile; the caller comes again
	}
	// One from far ahead was left by a process whose clock was wrong.
	if age := s.Clock.Now().Sub(info.ModTime()); age < staleLock && age > -staleLock {
		return false, nil
	}
	// Another program may break it, and take it, at the same time.
	if err := s.FS.Remove(lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	err = s.FS.Link(own, lock)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// sameFile says that two names are of one file. Where there are no inodes it is not known,
// which is false.
func sameFile(fsys vfs.FS, a, b string) (bool, error) {
	var ids [2][2]uint64
	for i, name := range []string{a, b} {
		info, err := fsys.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return false, nil
		}
		ids[i] = [2]uint64{st.Dev, st.Ino}
	}
	return ids[0] == ids[1], nil
}

// ReplaceFile replaces a small file in a folder of the store.
func (s *Volume) ReplaceFile(dir, name string, data []byte) error {
	fsys := s.FS
	name = filepath.Join(dir, name)
	_, unique := s.UniqueName() // another process may write it, too
	tmp := name + "." + unique + ".tmp"
	f, err := fsys.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		if err = fsys.Rename(tmp, name); errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%w: %w", ErrNoFile, err) // a folder has its name
		}
	}
	if err != nil {
		return errors.Join(err, fsys.Remove(tmp))
	}
	return nil
}

// RemoveAll removes a tree. A symbolic link goes without what it leads to.
func RemoveAll(fsys vfs.FS, name string) error {
	info, err := fsys.Lstat(name)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return fsys.Remove(name)
	}
	entries, err := fsys.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		child := filepath.Join(name, e.Name())
		if e.IsDir() {
			err = RemoveAll(fsys, child)
		} else {
			err = fsys.Remove(child)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fsys.Remove(name)
}

// Exists says whether there is something of that name.
func Exists(fsys vfs.FS, name string) (bool, error) {
	_, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return false, nil
	}
	return err == nil, err
}
