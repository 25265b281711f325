package overlay

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/vfs"
)

// FS is a vfs.FS. Safe for concurrent use.
type FS struct {
	base  vfs.FS
	clock clock.Clock
	mu    sync.Mutex
	// nodes are what differs from below, by clean path; the zero node is what is removed.
	nodes map[string]*node
}

var _ vfs.FS = (*FS)(nil)

// New makes an FS over base. Files that are written here have the time of c.
func New(base vfs.FS, c clock.Clock) *FS {
	return &FS{base: base, clock: c, nodes: map[string]*node{}}
}

// node is a file or folder that is not as it is below. FS.mu guards it.
type node struct {
	removed, dir bool
	// below is the file of base whose octets before belowEnd show through, "" for none.
	below    string
	belowEnd int64
	size     int64
	blocks   map[int64]*[blockSize]byte
	mtime    time.Time
}

const blockSize = 64 << 10

func pathError(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// find is what a path is; nil without an error: it is as below. mu is held.
func (f *FS) find(name string) (*node, error) {
	n := f.nodes[filepath.Clean(name)]
	if n != nil && n.removed {
		return nil, fs.ErrNotExist
	}
	return n, nil
}

// own is find with a node in any case: one that shows all that is below. mu is held.
func (f *FS) own(name string) (*node, error) {
	n, err := f.find(name)
	if n != nil || err != nil {
		return n, err
	}
	info, err := f.base.Stat(name)
	if err != nil {
		return nil, err
	}
	n = &node{dir: info.IsDir(), below: name, belowEnd: info.Size(), size: info.Size(), mtime: info.ModTime()}
	f.nodes[filepath.Clean(name)] = n
	return n, nil
}

const writes = os.O_WRONLY | os.O_RDWR | os.O_CREATE | os.O_TRUNC

// OpenFile opens a file; below it is opened for reading only.
func (f *FS) OpenFile(name string, flag int, _ fs.FileMode) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find(name)
	if flag&writes != 0 && err == nil {
		n, err = f.own(name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0:
		if err := f.parent(name); err != nil {
			return nil, pathError("open", name, err)
		}
		n = &node{mtime: f.clock.Now()}
		f.nodes[filepath.Clean(name)] = n
	case err != nil:
		return nil, pathError("open", name, err)
	case flag&os.O_EXCL != 0:
		return nil, pathError("open", name, fs.ErrExist)
	case n == nil: // it is read, and as it is below
		return f.base.OpenFile(name, os.O_RDONLY, 0)
	case n.dir && flag&(os.O_WRONLY|os.O_RDWR) != 0:
		return nil, pathError("open", name, syscall.EISDIR)
	}
	if flag&os.O_TRUNC != 0 {
		n.truncate(0)
	}
	h := &file{fs: f, node: n, name: name, writable: flag&(os.O_WRONLY|os.O_RDWR) != 0, appends: flag&os.O_APPEND != 0}
	if n.below != "" {
		if h.below, err = f.base.OpenFile(n.below, os.O_RDONLY, 0); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// parent says whether a name may be made: its folder is there. mu is held.
func (f *FS) parent(name string) error {
	n, err := f.find(filepath.Dir(name))
	if err != nil || n != nil {
		return err
	}
	_, err = f.base.Stat(filepath.Dir(name))
	return err
}

// OpenTemp makes a file without a name.
func (f *FS) OpenTemp(dir string, _ fs.FileMode) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := filepath.Join(dir, "(unnamed)")
	if err := f.parent(name); err != nil {
		return nil, pathError("open", name, err)
	}
	return &file{fs: f, node: &node{mtime: f.clock.Now()}, name: name, writable: true}, nil
}

// Rename renames a file.
func (f *FS) Rename(oldName, newName string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.ownFile("rename", oldName, newName)
	if err != nil {
		return err
	}
	if f.nodes[filepath.Clean(newName)] == n {
		return nil // two names of one file: rename(2) leaves both
	}
	f.nodes[filepath.Clean(newName)] = n
	if filepath.Clean(oldName) != filepath.Clean(newName) {
		f.nodes[filepath.Clean(oldName)] = &node{removed: true}
	}
	return nil
}

// Link gives a file another name.
func (f *FS) Link(oldName, newName string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.ownFile("link", oldName, newName)
	if err != nil {
		return err
	}
	return f.link(n, newName)
}

// ownFile is the file of a name that gets another one. mu is held.
func (f *FS) ownFile(op, oldName, newName string) (*node, error) {
	n, err := f.own(oldName)
	if err == nil && n.dir {
		err = syscall.EISDIR
	}
	if err == nil {
		err = f.parent(newName)
	}
	if err != nil {
		return nil, pathError(op, oldName, err)
	}
	return n, nil
}

// link gives n a name that nobody has. mu is held.
func (f *FS) link(n *node, name string) error {
	if err := f.parent(name); err != nil {
		return pathError("link", name, err)
	}
	_, err := f.own(name)
	switch {
	case err == nil:
		return pathError("link", name, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f.nodes[filepath.Clean(name)] = n
	return nil
}

// Remove removes a file.
func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.own(name)
	if err == nil && n.dir {
		err = syscall.EISDIR
	}
	if err != nil {
		return pathError("remove", name, err)
	}
	f.nodes[filepath.Clean(name)] = &node{removed: true}
	return nil
}

// Mkdir makes a folder.
func (f *FS) Mkdir(name string, _ fs.FileMode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mkdir(name)
}

func (f *FS) mkdir(name string) error {
	_, err := f.own(name)
	switch {
	case err == nil:
		return pathError("mkdir", name, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := f.parent(name); err != nil {
		return pathError("mkdir", name, err)
	}
	f.nodes[filepath.Clean(name)] = &node{dir: true, mtime: f.clock.Now()}
	return nil
}

// MkdirAll makes a folder and those that it is in.
func (f *FS) MkdirAll(name string, _ fs.FileMode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var missing []string
	for dir := filepath.Clean(name); ; dir = filepath.Dir(dir) {
		n, err := f.own(dir)
		if err == nil {
			if !n.dir {
				return pathError("mkdir", dir, syscall.ENOTDIR)
			}
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, dir)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := f.mkdir(missing[i]); err != nil {
			return err
		}
	}
	return nil
}

// ReadDir lists a folder.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find(name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	var list []fs.DirEntry
	if n == nil || n.below != "" {
		below, err := f.base.ReadDir(name)
		if err != nil {
			return nil, err
		}
		for _, e := range below {
			if f.nodes[filepath.Join(name, e.Name())] == nil {
				list = append(list, e)
			}
		}
	}
	clean := filepath.Clean(name)
	for path, n := range f.nodes {
		if !n.removed && filepath.Dir(path) == clean && path != clean {
			list = append(list, fs.FileInfoToDirEntry(n.info(path)))
		}
	}
	return list, nil
}

// Stat tells of a file or folder.
func (f *FS) Stat(name string) (fs.FileInfo, error) { return f.stat(name, f.base.Stat) }

// Lstat is Stat of a symbolic link itself, of which there are some only below.
func (f *FS) Lstat(name string) (fs.FileInfo, error) { return f.stat(name, f.base.Lstat) }

func (f *FS) stat(name string, below func(string) (fs.FileInfo, error)) (fs.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find(name)
	switch {
	case err != nil:
		return nil, pathError("stat", name, err)
	case n == nil:
		return below(name)
	}
	return n.info(name), nil
}

// Chtimes sets a time.
func (f *FS) Chtimes(name string, _, mtime time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.own(name)
	if err != nil {
		return pathError("chtimes", name, err)
	}
	n.mtime = mtime
	return nil
}

// Free is what is free below.
func (f *FS) Free(dir string) (int64, error) { return f.base.Free(dir) }

// SyncDir does nothing, if the folder is there.
func (f *FS) SyncDir(name string) error {
	_, err := f.Stat(name)
	return err
}

// info is what Stat says of a node.
func (n *node) info(name string) fs.FileInfo {
	return info{name: filepath.Base(name), size: n.size, dir: n.dir, mtime: n.mtime}
}

type info struct {
	name  string
	size  int64
	dir   bool
	mtime time.Time
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return i.mtime }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}

// truncate sets the size; what is cut off is zero when the file grows again.
func (n *node) truncate(size int64) {
	n.belowEnd = min(n.belowEnd, size)
	if size < n.size {
		for at, b := range n.blocks {
			switch begin := at * blockSize; {
			case begin >= size:
				delete(n.blocks, at)
			case begin+blockSize > size:
				clear(b[size-begin:])
			}
		}
	}
	n.size = size
}

// readAt reads from the blocks, and where there is none from below.
func (n *node) readAt(below io.ReaderAt, p []byte, off int64) (done int, err error) {
	for done < len(p) {
		at := off + int64(done)
		if at >= n.size {
			return done, io.EOF
		}
		index, within := at/blockSize, at%blockSize
		part := p[done:min(int64(len(p)), int64(done)+min(blockSize-within, n.size-at))]
		if b := n.blocks[index]; b != nil {
			copy(part, b[within:])
		} else if err := n.readBelow(below, part, at); err != nil {
			return done, err
		}
		done += len(part)
	}
	return done, nil
}

// readBelow reads what shows through; the rest is zero.
func (n *node) readBelow(below io.ReaderAt, p []byte, off int64) error {
	shown := int64(0)
	if below != nil {
		shown = min(max(n.belowEnd-off, 0), int64(len(p)))
	}
	got := 0
	if shown > 0 {
		var err error
		if got, err = below.ReadAt(p[:shown], off); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	clear(p[got:])
	return nil
}

// writeAt writes into blocks, of which a new one begins with what shows through.
func (n *node) writeAt(below io.ReaderAt, p []byte, off int64) error {
	for len(p) > 0 {
		index, within := off/blockSize, off%blockSize
		b := n.blocks[index]
		if b == nil {
			b = new([blockSize]byte)
			if err := n.readBelow(below, b[:], index*blockSize); err != nil {
				return err
			}
			if n.blocks == nil {
				n.blocks = map[int64]*[blockSize]byte{}
			}
			n.blocks[index] = b
		}
		done := copy(b[within:], p)
		p, off = p[done:], off+int64(done)
		n.size = max(n.size, off)
	}
	return nil
}
