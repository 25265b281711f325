package faultfs

import (
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"toastmaster/internal/vfs"
)

const sector = 512

// Disk is a file system in memory that can lose power. Names are absolute;
// the root "/" exists. Safe for concurrent use.
type Disk struct {
	mu    sync.Mutex
	root  *node
	limit int64 // 0 is unlimited
	used  int64
}

// node is a file or a directory.
type node struct {
	dir   bool
	perm  fs.FileMode
	mtime time.Time
	links int // names
	// renamed nodes have been renamed at least once.
	renamed bool
	opens   int // open files

	// A directory's names, now and after a crash.
	entries, durableEntries map[string]*node

	// A file's bytes, now and after a crash; dirty are the sectors in which
	// they may differ.
	data, durable []byte
	dirty         map[int64]struct{}
	durableMtime  time.Time
	holder        *file // of the lock
	unlocked      *sync.Cond
}

var _ vfs.FS = (*Disk)(nil)

// NewDisk is an empty disk of unlimited size.
func NewDisk() *Disk { return &Disk{root: newDir(0o755)} }

func newDir(perm fs.FileMode) *node {
	return &node{dir: true, perm: perm, mtime: time.Now(), entries: map[string]*node{}, durableEntries: map[string]*node{}}
}

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

// find walks to a name.
func (d *Disk) find(op, name string) (*node, error) {
	n := d.root
	for part := range strings.SplitSeq(filepath.Clean(name), "/") {
		if part == "" || part == "." {
			continue
		}
		if !n.dir {
			return nil, &fs.PathError{Op: op, Path: name, Err: syscall.ENOTDIR}
		}
		child := n.entries[part]
		if child == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: syscall.ENOENT}
		}
		n = child
	}
	return n, nil
}

// parent finds the directory of a name.
func (d *Disk) parent(op, name string) (*node, string, error) {
	clean := filepath.Clean(name)
	p, err := d.find(op, filepath.Dir(clean))
	if err == nil && !p.dir {
		err = &fs.PathError{Op: op, Path: name, Err: syscall.ENOTDIR}
	}
	return p, filepath.Base(clean), err
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
		n = d.newFile(perm)
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
	n := d.newFile(perm)
	n.opens++
	return &file{disk: d, node: n, name: filepath.Join(dir, "(unnamed)")}, nil
}

func (d *Disk) newFile(perm fs.FileMode) *node {
	n := &node{perm: perm, mtime: time.Now(), dirty: map[int64]struct{}{}}
	n.unlocked = sync.NewCond(&d.mu)
	return n
}

func (d *Disk) enter(p *node, base string, n *node) {
	p.entries[base] = n
	p.mtime = time.Now()
	n.links++
}

func (d *Disk) leave(p *node, base string) {
	n := p.entries[base]
	delete(p.entries, base)
	p.mtime = time.Now()
	n.links--
	d.forget(n)
}

// forget gives the space of a file back that nobody can reach any more.
func (d *Disk) forget(n *node) {
	if !n.dir && n.links == 0 && n.opens == 0 {
		d.used -= int64(len(n.data))
		n.data = n.data[:0:0]
	}
}

// resize grows with zeros, as far as there is space, or cuts.
func (d *Disk) resize(n *node, size int64) error {
	old := int64(len(n.data))
	if size > old && d.limit > 0 && d.used+size-old > d.limit {
		return syscall.ENOSPC
	}
	if size <= int64(cap(n.data)) {
		n.data = n.data[:size]
		if size > old {
			clear(n.data[old:])
		}
	} else {
		n.data = append(n.data, make([]byte, size-old)...)
	}
	d.used += size - old
	n.touch(min(old, size), max(old, size))
	return nil
}

func (n *node) touch(from, to int64) {
	for s := from / sector; s*sector < to; s++ {
		n.dirty[s] = struct{}{}
	}
	n.mtime = time.Now()
}

// Rename is os.Rename.
func (d *Disk) Rename(oldName, newName string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	from, oldBase, err := d.parent("rename", oldName)
	if err != nil {
		return err
	}
	to, newBase, err := d.parent("rename", newName)
	if err != nil {
		return err
	}
	n := from.entries[oldBase]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: oldName, Err: syscall.ENOENT}
	}
	if old := to.entries[newBase]; old != nil {
		if old == n {
			return nil
		}
		if old.dir && len(old.entries) > 0 {
			return &fs.PathError{Op: "rename", Path: newName, Err: syscall.ENOTEMPTY}
		}
		d.leave(to, newBase)
	}
	n.renamed = true
	d.enter(to, newBase, n)
	d.leave(from, oldBase)
	return nil
}

// Link is os.Link.
func (d *Disk) Link(oldName, newName string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("link", oldName)
	if err != nil {
		return err
	}
	return d.link(n, newName)
}

func (d *Disk) link(n *node, newName string) error {
	p, base, err := d.parent("link", newName)
	if err != nil {
		return err
	}
	if p.entries[base] != nil {
		return &fs.PathError{Op: "link", Path: newName, Err: syscall.EEXIST}
	}
	d.enter(p, base, n)
	return nil
}

// Remove is os.Remove.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, base, err := d.parent("remove", name)
	if err != nil {
		return err
	}
	n := p.entries[base]
	if n == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOENT}
	}
	if n.dir && len(n.entries) > 0 {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
	}
	d.leave(p, base)
	return nil
}

// Mkdir is os.Mkdir.
func (d *Disk) Mkdir(name string, perm fs.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mkdir(name, perm)
}

func (d *Disk) mkdir(name string, perm fs.FileMode) error {
	p, base, err := d.parent("mkdir", name)
	if err != nil {
		return err
	}
	if p.entries[base] != nil || filepath.Clean(name) == "/" {
		return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.EEXIST}
	}
	d.enter(p, base, newDir(perm))
	return nil
}

// MkdirAll is os.MkdirAll.
func (d *Disk) MkdirAll(name string, perm fs.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	done := "/"
	for part := range strings.SplitSeq(filepath.Clean(name), "/") {
		done = filepath.Join(done, part)
		n, err := d.find("mkdir", done)
		if err == nil && n.dir {
			continue
		}
		if err := d.mkdir(done, perm); err != nil {
			return err
		}
	}
	return nil
}

// ReadDir lists in map order, which is no order.
func (d *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("open", name)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: syscall.ENOTDIR}
	}
	out := make([]fs.DirEntry, 0, len(n.entries))
	for base, child := range n.entries {
		out = append(out, fs.FileInfoToDirEntry(child.info(base)))
	}
	return out, nil
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

// SyncDir makes the names in a directory durable.
func (d *Disk) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("open", name)
	if err != nil {
		return err
	}
	n.sync()
	return nil
}

func (n *node) syncAll() {
	n.sync()
	for _, child := range n.entries {
		child.syncAll()
	}
}

// loseAll is what a failed sync does to all files below n.
func (n *node) loseAll() {
	clear(n.dirty)
	for _, child := range n.entries {
		child.loseAll()
	}
}

func (n *node) sync() {
	n.durableMtime = n.mtime
	if n.dir {
		n.durableEntries = make(map[string]*node, len(n.entries))
		for base, child := range n.entries {
			n.durableEntries[base] = child
		}
		return
	}
	n.durable = fit(n.durable, len(n.data))
	for s := range n.dirty {
		n.copySector(n.durable, s)
	}
	clear(n.dirty)
}

// copySector copies one sector of the present data as far as both reach.
func (n *node) copySector(to []byte, s int64) {
	from := s * sector
	if from < int64(len(n.data)) && from < int64(len(to)) {
		copy(to[from:min(from+sector, int64(len(to)))], n.data[from:])
	}
}

// fit cuts b or grows it with zeros.
func fit(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size]
	}
	old := len(b)
	if size <= cap(b) {
		b = b[:size]
		clear(b[old:])
		return b
	}
	return append(b, make([]byte, size-old)...)
}

type info struct {
	name  string
	size  int64
	mode  fs.FileMode
	mtime time.Time
}

func (n *node) info(base string) fs.FileInfo {
	mode := n.perm
	if n.dir {
		mode |= fs.ModeDir
	}
	return info{base, int64(len(n.data)), mode, n.mtime}
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.mtime }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
