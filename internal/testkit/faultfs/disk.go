package faultfs

import (
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"toastmaster/internal/vfs"
)

// Disk is a file system in memory that can lose power. Names are absolute;
// the root "/" exists. Safe for concurrent use.
type Disk struct {
	mu    sync.Mutex
	root  *node
	limit int64 // 0 is unlimited
	used  int64
	// renames are those that are not durable yet, oldest first.
	renames []rename
}

var _ vfs.FS = (*Disk)(nil)

// NewDisk is an empty disk of unlimited size.
func NewDisk() *Disk { return &Disk{root: newDir(0o755)} }

// Limit makes the disk hold at most n octets of file data; 0 is unlimited.
// Only growing a file needs space. What is over it already stays.
func (d *Disk) Limit(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limit = n
}

// Used is the space taken by file data, removed but open files included.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// Free is what Limit leaves; without one there is always more.
func (d *Disk) Free(dir string) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.find("statfs", dir); err != nil {
		return 0, err
	}
	if d.limit == 0 {
		return math.MaxInt64, nil
	}
	return max(d.limit-d.used, 0), nil
}

// OpenFile is os.OpenFile.
func (d *Disk) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, base, err := d.parent("open", name)
	if err != nil {
		return nil, err
	}
	n := p.entries[base]
	if base == "/" {
		n = d.root
	}
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	case n == nil:
		n = newFile(perm)
		d.enter(p, base, n)
	case flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EEXIST}
	case n.dir && flag&(os.O_WRONLY|os.O_RDWR) != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	}
	if flag&os.O_TRUNC != 0 {
		d.resize(n, 0)
	}
	n.opens++
	return &file{disk: d, node: n, name: name, appends: flag&os.O_APPEND != 0}, nil
}

// OpenTemp makes a file without a name.
func (d *Disk) OpenTemp(dir string, perm fs.FileMode) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, err := d.find("open", dir)
	if err != nil {
		return nil, err
	}
	if !p.dir {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	n := newFile(perm)
	n.opens++
	return &file{disk: d, node: n, name: filepath.Join(dir, "(unnamed)")}, nil
}

// Stat is os.Stat.
func (d *Disk) Stat(name string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("stat", name)
	if err != nil {
		return nil, err
	}
	return n.info(filepath.Base(name)), nil
}

// Lstat is Stat: this disk has no symbolic links.
func (d *Disk) Lstat(name string) (fs.FileInfo, error) { return d.Stat(name) }

// Chtimes is os.Chtimes; access times are not kept. A zero mtime changes
// nothing.
func (d *Disk) Chtimes(name string, _, mtime time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("chtimes", name)
	if err == nil && !mtime.IsZero() {
		n.mtime = mtime
	}
	return err
}
