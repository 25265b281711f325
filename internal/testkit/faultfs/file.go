package faultfs

import (
	"io"
	"io/fs"
	"maps"
	"os"
	"syscall"

	"toastmaster/internal/vfs"
)

// file is an open file of a Disk.
type file struct {
	disk    *Disk
	node    *node
	name    string
	off     int64
	appends bool
	closed  bool
}

var _ vfs.File = (*file)(nil)

func (f *file) Name() string { return f.name }

// enter takes the disk's lock; the caller unlocks in any case.
func (f *file) enter(op string) error {
	f.disk.mu.Lock()
	if f.closed {
		return &fs.PathError{Op: op, Path: f.name, Err: os.ErrClosed}
	}
	return nil
}

func (f *file) Read(p []byte) (int, error) {
	defer f.disk.mu.Unlock()
	if err := f.enter("read"); err != nil {
		return 0, err
	}
	n, err := f.readAt(p, f.off)
	f.off += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	defer f.disk.mu.Unlock()
	if err := f.enter("read"); err != nil {
		return 0, err
	}
	return f.readAt(p, off)
}

func (f *file) readAt(p []byte, off int64) (int, error) {
	n := f.node.data.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) Write(p []byte) (int, error) {
	defer f.disk.mu.Unlock()
	if err := f.enter("write"); err != nil {
		return 0, err
	}
	if f.appends {
		f.off = f.node.data.size
	}
	n, err := f.writeAt(p, f.off)
	f.off += int64(n)
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	defer f.disk.mu.Unlock()
	if err := f.enter("write"); err != nil {
		return 0, err
	}
	return f.writeAt(p, off)
}

// writeAt writes what fits on the disk.
func (f *file) writeAt(p []byte, off int64) (int, error) {
	n, full := f.node, error(nil)
	if end := off + int64(len(p)); end > n.data.size {
		if f.disk.resize(n, end) != nil {
			room := max(f.disk.limit-f.disk.used, 0)
			end = max(min(n.data.size+room, end), n.data.size)
			if err := f.disk.resize(n, end); err != nil {
				return 0, &fs.PathError{Op: "write", Path: f.name, Err: err}
			}
			p, full = p[:max(end-off, 0)], &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
		}
	}
	if len(p) > 0 {
		n.data.writeAt(p, off)
		n.touch(off, off+int64(len(p)))
	}
	return len(p), full
}

func (f *file) WriteV(bufs [][]byte, off int64) (int64, error) {
	defer f.disk.mu.Unlock()
	if err := f.enter("pwritev"); err != nil {
		return 0, err
	}
	var total int64
	for _, b := range bufs {
		n, err := f.writeAt(b, off+total)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (f *file) Seek(offset int64, whence int) (int64, error) {
	defer f.disk.mu.Unlock()
	if err := f.enter("seek"); err != nil {
		return 0, err
	}
	switch whence {
	case io.SeekCurrent:
		offset += f.off
	case io.SeekEnd:
		offset += f.node.data.size
	}
	if offset < 0 {
		return 0, &fs.PathError{Op: "seek", Path: f.name, Err: syscall.EINVAL}
	}
	f.off = offset
	return offset, nil
}

func (f *file) Stat() (fs.FileInfo, error) {
	defer f.disk.mu.Unlock()
	if err := f.enter("stat"); err != nil {
		return nil, err
	}
	return f.node.info(f.name), nil
}

func (f *file) Chmod(perm fs.FileMode) error {
	defer f.disk.mu.Unlock()
	if err := f.enter("fchmod"); err != nil {
		return err
	}
	f.node.perm = perm.Perm()
	return nil
}

func (f *file) Truncate(size int64) error { return f.change("truncate", size, false) }

func (f *file) Allocate(size int64) error { return f.change("fallocate", size, true) }

func (f *file) change(op string, size int64, growOnly bool) error {
	defer f.disk.mu.Unlock()
	if err := f.enter(op); err != nil {
		return err
	}
	if growOnly && size <= f.node.data.size {
		return nil
	}
	if err := f.disk.resize(f.node, size); err != nil {
		return &fs.PathError{Op: op, Path: f.name, Err: err}
	}
	return nil
}

func (f *file) Sync() error {
	defer f.disk.mu.Unlock()
	if err := f.enter("fsync"); err != nil {
		return err
	}
	f.node.sync()
	return nil
}

func (f *file) Datasync() error { return f.Sync() }

func (f *file) SyncFS() error {
	defer f.disk.mu.Unlock()
	if err := f.enter("syncfs"); err != nil {
		return err
	}
	f.disk.root.syncAll()
	f.disk.renames = nil
	return nil
}

// lose is what the kernel does when data cannot be written: it calls the pages
// clean. They can be read as long as they are in memory, and no later sync
// writes them.
func (f *file) lose(all bool) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if all {
		f.disk.root.loseAll()
		return
	}
	clear(f.node.dirty)
}

func (f *file) LinkTo(newName string) error {
	defer f.disk.mu.Unlock()
	if err := f.enter("linkat"); err != nil {
		return err
	}
	return f.disk.link(f.node, newName)
}

func (f *file) TryLock() error {
	defer f.disk.mu.Unlock()
	if err := f.enter("flock"); err != nil {
		return err
	}
	if f.node.holder != nil && f.node.holder != f {
		return vfs.ErrLocked
	}
	f.node.holder = f
	return nil
}

func (f *file) Unlock() error {
	defer f.disk.mu.Unlock()
	if err := f.enter("flock"); err != nil {
		return err
	}
	if f.node.holder == f {
		f.node.holder = nil
	}
	return nil
}

func (f *file) TryLockAt(off int64) error {
	defer f.disk.mu.Unlock()
	if err := f.enter("lock"); err != nil {
		return err
	}
	if held := f.node.holders[off]; held != nil && held != f {
		return vfs.ErrLocked
	}
	if f.node.holders == nil {
		f.node.holders = map[int64]*file{}
	}
	f.node.holders[off] = f
	return nil
}

func (f *file) UnlockAt(off int64) error {
	defer f.disk.mu.Unlock()
	if err := f.enter("lock"); err != nil {
		return err
	}
	if f.node.holders[off] == f {
		delete(f.node.holders, off)
	}
	return nil
}

func (f *file) LockedAt(off int64) (bool, error) {
	defer f.disk.mu.Unlock()
	if err := f.enter("lock"); err != nil {
		return false, err
	}
	held := f.node.holders[off]
	return held != nil && held != f, nil
}

// unlock gives back all locks that f has.
func (f *file) unlock() {
	if f.node.holder == f {
		f.node.holder = nil
	}
	maps.DeleteFunc(f.node.holders, func(_ int64, held *file) bool { return held == f })
}

func (f *file) Close() error {
	defer f.disk.mu.Unlock()
	if err := f.enter("close"); err != nil {
		return err
	}
	f.closed = true
	f.unlock()
	f.node.opens--
	f.disk.forget(f.node)
	return nil
}
