package faultfs

import (
	"io/fs"
	"sync"
	"syscall"
	"time"

	"toastmaster/internal/vfs"
)

// The usual errors of a failing disk.
const (
	EIO    = syscall.EIO
	ENOSPC = syscall.ENOSPC
)

// Op is a kind of operation.
type Op string

// The kinds. Any counts those that change something: all but Open of an
// existing file, Read, ReadDir, Stat, Free, Close, TryLock and TryLockAt. Sync is File.Sync and
// Datasync together.
const (
	Any      Op = "any"
	Open     Op = "open"   // without O_CREATE
	Create   Op = "create" // with O_CREATE, and OpenTemp
	Rename   Op = "rename"
	Link     Op = "link" // FS.Link and File.LinkTo
	Remove   Op = "remove"
	Mkdir    Op = "mkdir"
	ReadDir  Op = "readdir"
	Stat     Op = "stat"
	Free     Op = "free"
	Chtimes  Op = "chtimes"
	Chmod    Op = "chmod"
	SyncDir  Op = "syncdir"
	SyncFS   Op = "syncfs"
	Read     Op = "read"
	Write    Op = "write" // Write, WriteAt, WriteV
	Truncate Op = "truncate"
	Allocate Op = "allocate"
	Sync     Op = "sync"
	Lock     Op = "lock" // TryLock, TryLockAt
)

func (o Op) changes() bool {
	switch o {
	case Open, ReadDir, Stat, Free, Read, Lock:
		return false
	}
	return true
}

// Faults is a file system whose operations fail on demand. Safe for
// concurrent use.
type Faults struct {
	inner vfs.FS

	mu     sync.Mutex
	counts map[Op]int
	rules  []rule
	hook   func(op Op, name string) error
}

type rule struct {
	op      Op
	from, n int // fails when from <= count < from+n; n < 0 for ever
	err     error
}

// Wrap puts a Faults before inner. Until told otherwise nothing fails.
func Wrap(inner vfs.FS) *Faults { return &Faults{inner: inner, counts: map[Op]int{}} }

// FailNth makes the n-th operation of a kind (1 is the first since Wrap or
// Reset) fail with err, once.
func (f *Faults) FailNth(op Op, n int, err error) { f.add(rule{op, n, 1, err}) }

// FailFrom makes the n-th operation of a kind and all later ones fail.
func (f *Faults) FailFrom(op Op, n int, err error) { f.add(rule{op, n, -1, err}) }

func (f *Faults) add(r rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, r)
}

// Hook is called before every operation, outside any lock of this package; an
// error it returns becomes the operation's. nil removes it.
func (f *Faults) Hook(h func(op Op, name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = h
}

// Heal drops all rules; the counts go on.
func (f *Faults) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Reset drops all rules and counts from zero.
func (f *Faults) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
	clear(f.counts)
}

// Count is the number of operations of a kind so far, failed ones included.
func (f *Faults) Count(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[op]
}

// check counts one operation and decides its fate.
func (f *Faults) check(op Op, name string) error {
	f.mu.Lock()
	hook := f.hook
	f.counts[op]++
	if op.changes() {
		f.counts[Any]++
	}
	var err error
	for _, r := range f.rules {
		if r.op != op && (r.op != Any || !op.changes()) {
			continue
		}
		if c := f.counts[r.op]; c >= r.from && (r.n < 0 || c < r.from+r.n) {
			err = &fs.PathError{Op: string(op), Path: name, Err: r.err}
			break
		}
	}
	f.mu.Unlock()
	if hook != nil {
		if hookErr := hook(op, name); hookErr != nil {
			return hookErr
		}
	}
	return err
}

// OpenFile counts as Create with O_CREATE, else as Open.
func (f *Faults) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	op := Open
	if flag&syscall.O_CREAT != 0 {
		op = Create
	}
	if err := f.check(op, name); err != nil {
		return nil, err
	}
	return f.wrap(f.inner.OpenFile(name, flag, perm))
}

// OpenTemp counts as Create.
func (f *Faults) OpenTemp(dir string, perm fs.FileMode) (vfs.File, error) {
	if err := f.check(Create, dir); err != nil {
		return nil, err
	}
	return f.wrap(f.inner.OpenTemp(dir, perm))
}

func (f *Faults) wrap(inner vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultFile{File: inner, f: f}, nil
}

// Rename may fail.
func (f *Faults) Rename(oldName, newName string) error {
	if err := f.check(Rename, oldName); err != nil {
		return err
	}
	return f.inner.Rename(oldName, newName)
}

// Link may fail.
func (f *Faults) Link(oldName, newName string) error {
	if err := f.check(Link, oldName); err != nil {
		return err
	}
	return f.inner.Link(oldName, newName)
}

// Remove may fail.
func (f *Faults) Remove(name string) error {
	if err := f.check(Remove, name); err != nil {
		return err
	}
	return f.inner.Remove(name)
}

// Mkdir may fail.
func (f *Faults) Mkdir(name string, perm fs.FileMode) error {
	if err := f.check(Mkdir, name); err != nil {
		return err
	}
	return f.inner.Mkdir(name, perm)
}

// MkdirAll counts as one Mkdir.
func (f *Faults) MkdirAll(name string, perm fs.FileMode) error {
	if err := f.check(Mkdir, name); err != nil {
		return err
	}
	return f.inner.MkdirAll(name, perm)
}

// ReadDir may fail.
func (f *Faults) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.check(ReadDir, name); err != nil {
		return nil, err
	}
	return f.inner.ReadDir(name)
}

// Stat may fail.
func (f *Faults) Stat(name string) (fs.FileInfo, error) {
	if err := f.check(Stat, name); err != nil {
		return nil, err
	}
	return f.inner.Stat(name)
}

// Lstat may fail as Stat.
func (f *Faults) Lstat(name string) (fs.FileInfo, error) {
	if err := f.check(Stat, name); err != nil {
		return nil, err
	}
	return f.inner.Lstat(name)
}

// Chtimes may fail.
func (f *Faults) Chtimes(name string, atime, mtime time.Time) error {
	if err := f.check(Chtimes, name); err != nil {
		return err
	}
	return f.inner.Chtimes(name, atime, mtime)
}

// Free may fail.
func (f *Faults) Free(dir string) (int64, error) {
	if err := f.check(Free, dir); err != nil {
		return 0, err
	}
	return f.inner.Free(dir)
}

// SyncDir may fail.
func (f *Faults) SyncDir(name string) error {
	if err := f.check(SyncDir, name); err != nil {
		return err
	}
	return f.inner.SyncDir(name)
}

type faultFile struct {
	vfs.File
	f *Faults
}

func (x *faultFile) Read(p []byte) (int, error) {
	if err := x.f.check(Read, x.Name()); err != nil {
		return 0, err
	}
	return x.File.Read(p)
}

func (x *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := x.f.check(Read, x.Name()); err != nil {
		return 0, err
	}
	return x.File.ReadAt(p, off)
}

func (x *faultFile) Write(p []byte) (int, error) {
	if err := x.f.check(Write, x.Name()); err != nil {
		return x.torn(p, func(half []byte) (int, error) { return x.File.Write(half) }, err)
	}
	return x.File.Write(p)
}

func (x *faultFile) WriteAt(p []byte, off int64) (int, error) {
	if err := x.f.check(Write, x.Name()); err != nil {
		return x.torn(p, func(half []byte) (int, error) { return x.File.WriteAt(half, off) }, err)
	}
	return x.File.WriteAt(p, off)
}

// WriteV that fails leaves the first half of its first buffer behind.
func (x *faultFile) WriteV(bufs [][]byte, off int64) (int64, error) {
	err := x.f.check(Write, x.Name())
	if err == nil {
		return x.File.WriteV(bufs, off)
	}
	for _, b := range bufs {
		if len(b) > 1 {
			n, err := x.torn(b, func(half []byte) (int, error) { return x.File.WriteAt(half, off) }, err)
			return int64(n), err
		}
	}
	return 0, err
}

// torn writes the first half, as a failing disk may, and reports failure.
func (x *faultFile) torn(p []byte, write func([]byte) (int, error), err error) (int, error) {
	n, writeErr := write(p[:len(p)/2])
	if writeErr != nil {
		return n, writeErr
	}
	return n, err
}

func (x *faultFile) Chmod(perm fs.FileMode) error {
	if err := x.f.check(Chmod, x.Name()); err != nil {
		return err
	}
	return x.File.Chmod(perm)
}

func (x *faultFile) Truncate(size int64) error {
	if err := x.f.check(Truncate, x.Name()); err != nil {
		return err
	}
	return x.File.Truncate(size)
}

func (x *faultFile) Allocate(size int64) error {
	if err := x.f.check(Allocate, x.Name()); err != nil {
		return err
	}
	return x.File.Allocate(size)
}

// Sync that fails loses what it should have written: see Disk.
func (x *faultFile) Sync() error {
	if err := x.f.check(Sync, x.Name()); err != nil {
		x.lose(false)
		return err
	}
	return x.File.Sync()
}

// Datasync is like Sync.
func (x *faultFile) Datasync() error {
	if err := x.f.check(Sync, x.Name()); err != nil {
		x.lose(false)
		return err
	}
	return x.File.Datasync()
}

// SyncFS that fails loses all data that it should have written.
func (x *faultFile) SyncFS() error {
	if err := x.f.check(SyncFS, x.Name()); err != nil {
		x.lose(true)
		return err
	}
	return x.File.SyncFS()
}

func (x *faultFile) lose(all bool) {
	if f, ok := x.File.(*file); ok {
		f.lose(all)
	}
}

func (x *faultFile) LinkTo(newName string) error {
	if err := x.f.check(Link, newName); err != nil {
		return err
	}
	return x.File.LinkTo(newName)
}

func (x *faultFile) TryLock() error {
	if err := x.f.check(Lock, x.Name()); err != nil {
		return err
	}
	return x.File.TryLock()
}

func (x *faultFile) TryLockAt(off int64) error {
	if err := x.f.check(Lock, x.Name()); err != nil {
		return err
	}
	return x.File.TryLockAt(off)
}
