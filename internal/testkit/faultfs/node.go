package faultfs

import (
	"io/fs"
	"syscall"
	"time"
)

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
	data, durable content
	dirty         map[int64]struct{}
	durableMtime  time.Time
	holder        *file // of the lock
	// holders are those of the locks of single octets.
	holders map[int64]*file
}

func newDir(perm fs.FileMode) *node {
	return &node{dir: true, perm: perm, mtime: time.Now(), entries: map[string]*node{}, durableEntries: map[string]*node{}}
}

func newFile(perm fs.FileMode) *node {
	return &node{perm: perm, mtime: time.Now(), dirty: map[int64]struct{}{}}
}

// forget gives the space of a file back that nobody can reach any more.
func (d *Disk) forget(n *node) {
	if !n.dir && n.links == 0 && n.opens == 0 {
		d.used -= n.data.size
		n.data = content{}
	}
}

// resize grows with zeros, as far as there is space, or cuts.
func (d *Disk) resize(n *node, size int64) error {
	old := n.data.size
	if size > old && d.limit > 0 && d.used+size-old > d.limit {
		return syscall.ENOSPC
	}
	n.data.resize(size)
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
	n.durable.resize(n.data.size)
	for s := range n.dirty {
		n.durable.take(&n.data, s)
	}
	clear(n.dirty)
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
	return info{base, n.data.size, mode, n.mtime}
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.mtime }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
