package vfs

import (
	"io"
	"io/fs"
	"time"
)

// FS is the file system under the queue, the journal and the store.
type FS interface {
	// OpenFile has the flags and errors of os.OpenFile.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// OpenTemp opens a new file that has no name yet, in the file system of
	// dir (O_TMPFILE). File.LinkTo gives it its name; without that it vanishes
	// at Close. Where the file system cannot do this, a uniquely named file
	// in dir stands in for it and is removed at Close if never linked.
	OpenTemp(dir string, perm fs.FileMode) (File, error)
	Rename(oldName, newName string) error
	// Link makes newName another name of oldName; it fails with fs.ErrExist
	// when newName is taken.
	Link(oldName, newName string) error
	Remove(name string) error
	// Mkdir makes one directory; MkdirAll all that are missing.
	Mkdir(name string, perm fs.FileMode) error
	MkdirAll(name string, perm fs.FileMode) error
	// ReadDir lists a directory in no particular order, without a stat of
	// each entry.
	ReadDir(name string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// Lstat is Stat of a symbolic link itself.
	Lstat(name string) (fs.FileInfo, error)
	Chtimes(name string, atime, mtime time.Time) error
	// Free is how many octets the file system of dir has left for this user
	// (statvfs(3), f_bavail).
	Free(dir string) (int64, error)
	// SyncDir makes the names in directory name durable.
	SyncDir(name string) error
}

// File is an open file. Its methods have the meaning of *os.File's.
type File interface {
	io.Reader
	io.Writer
	io.Seeker
	io.ReaderAt
	io.WriterAt
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	// Chmod is fchmod(2): the mode whatever the umask is.
	Chmod(perm fs.FileMode) error
	// Sync is fsync(2), Datasync fdatasync(2).
	Sync() error
	Datasync() error
	// SyncFS makes durable all that was written before the call to the file
	// system that holds the file, a directory as a rule (syncfs(2)). An error
	// of the writing that the kernel did by itself is reported once, and only
	// to a descriptor that was open then: keep it open.
	SyncFS() error
	// Allocate reserves and zeroes [0,size) so that later writes inside need
	// neither space nor a metadata update at Datasync.
	Allocate(size int64) error
	// WriteV writes the buffers one after the other at offset off with as few
	// system calls as possible; n counts the bytes written.
	WriteV(bufs [][]byte, off int64) (n int64, err error)
	// LinkTo gives a file from OpenTemp its name; fs.ErrExist when taken.
	LinkTo(newName string) error
	// TryLock takes an exclusive advisory lock of the open file description
	// (flock(2)), ErrLocked when it is held elsewhere. There is no call that
	// waits: flock(2) would without a limit. Unlock of what is not locked is
	// no error.
	TryLock() error
	Unlock() error
	// TryLockAt is TryLock for the octet at off alone, which need not be there
	// (fcntl(2), F_OFD_SETLK): one open file has room for many locks. The file must be
	// open for writing. It does not meet TryLock. Two who lock one octet through the
	// same open file do not hinder each other.
	TryLockAt(off int64) error
	UnlockAt(off int64) error
	// LockedAt says whether another open file has the octet at off locked.
	LockedAt(off int64) (bool, error)
}
