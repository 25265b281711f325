package faultfs

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

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
	d.renames = append(d.renames, rename{n, from, to, oldBase, newBase})
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

// SyncDir makes the names in a directory durable.
func (d *Disk) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("open", name)
	if err != nil {
		return err
	}
	d.commitRenames(n)
	n.sync()
	return nil
}

// rename is a change of two directories that reaches the disk as one.
type rename struct {
	n                *node
	from, to         *node
	oldBase, newBase string
}

// commitRenames makes both halves of each rename durable that dir has a half of,
// and those of the same node before it. File systems with a journal have a
// rename in one transaction, so a sync of either directory writes both.
func (d *Disk) commitRenames(dir *node) {
	moved := map[*node]bool{}
	for _, r := range d.renames {
		if r.from == dir || r.to == dir {
			moved[r.n] = true
		}
	}
	d.renames = slices.DeleteFunc(d.renames, func(r rename) bool {
		if !moved[r.n] {
			return false
		}
		if r.from.durableEntries[r.oldBase] == r.n && r.from.entries[r.oldBase] != r.n {
			delete(r.from.durableEntries, r.oldBase)
		}
		if r.to.entries[r.newBase] == r.n {
			r.to.durableEntries[r.newBase] = r.n
		}
		r.from.durableMtime, r.to.durableMtime = r.from.mtime, r.to.mtime
		return true
	})
}
