package overlay

import (
	"io"
	"io/fs"
	"os"

	"toastmaster/internal/vfs"
)

// file is an open file. FS.mu guards its position, too.
type file struct {
	fs                *FS
	node              *node
	below             vfs.File // nil: nothing shows through
	name              string
	at                int64
	writable, appends bool
	closed            bool
}

// source is what shows through, nil for nothing.
func (h *file) source() io.ReaderAt {
	if h.below == nil {
		return nil
	}
	return h.below
}

func (h *file) Name() string { return h.name }

func (h *file) Stat() (fs.FileInfo, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.node.info(h.name), nil
}

func (h *file) Read(p []byte) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	n, err := h.node.readAt(h.source(), p, h.at)
	if h.at += int64(n); n > 0 {
		err = nil
	}
	return n, err
}

func (h *file) ReadAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.node.readAt(h.source(), p, off)
}

func (h *file) Seek(offset int64, whence int) (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += h.at
	case io.SeekEnd:
		offset += h.node.size
	}
	if offset < 0 {
		return 0, pathError("seek", h.name, fs.ErrInvalid)
	}
	h.at = offset
	return offset, nil
}

func (h *file) Write(p []byte) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.appends {
		h.at = h.node.size
	}
	n, err := h.write(p, h.at)
	h.at += int64(n)
	return n, err
}

func (h *file) WriteAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.write(p, off)
}

// write writes at off; FS.mu is held.
func (h *file) write(p []byte, off int64) (int, error) {
	if !h.writable {
		return 0, pathError("write", h.name, os.ErrPermission)
	}
	if err := h.node.writeAt(h.source(), p, off); err != nil {
		return 0, err
	}
	h.node.mtime = h.fs.clock.Now()
	return len(p), nil
}

func (h *file) WriteV(bufs [][]byte, off int64) (n int64, err error) {
	for _, b := range bufs {
		done, err := h.WriteAt(b, off+n)
		if n += int64(done); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (h *file) Truncate(size int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if !h.writable {
		return pathError("truncate", h.name, fs.ErrInvalid)
	}
	h.node.truncate(size)
	return nil
}

// Chmod changes nothing: modes are not kept.
func (h *file) Chmod(fs.FileMode) error { return nil }

// Allocate makes the file size octets long, with zeros behind its end, if it is not longer.
func (h *file) Allocate(size int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	h.node.size = max(size, h.node.size)
	return nil
}

func (h *file) LinkTo(newName string) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.fs.link(h.node, newName)
}

func (h *file) Close() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.closed {
		return pathError("close", h.name, fs.ErrClosed)
	}
	h.closed = true
	if h.below == nil {
		return nil
	}
	return h.below.Close()
}

// There is nothing to sync and nobody to lock out.

func (h *file) Sync() error                  { return nil }
func (h *file) Datasync() error              { return nil }
func (h *file) SyncFS() error                { return nil }
func (h *file) TryLock() error               { return nil }
func (h *file) Unlock() error                { return nil }
func (h *file) TryLockAt(int64) error        { return nil }
func (h *file) UnlockAt(int64) error         { return nil }
func (h *file) LockedAt(int64) (bool, error) { return false, nil }

var _ vfs.File = (*file)(nil)
