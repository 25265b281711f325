package faultfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Crash is the disk after a power loss: only what was synced is there. The
// old disk is left as it is; whoever still writes to it writes to a ghost.
func (d *Disk) Crash() *Disk {
	return d.copy(&copier{data: (*node).synced, entries: func(n *node) map[string]*node { return n.durableEntries }})
}

// CrashRandom is Crash, but any part of what was not synced may be there: each
// sector, each size and each directory entry is decided by rng. A rename has
// happened or not, in both directories alike, as with every file system that
// has a journal.
func (d *Disk) CrashRandom(rng *rand.Rand) *Disk {
	l := &luck{rng: rng, renamed: map[*node]bool{}}
	return d.copy(&copier{data: l.data, entries: l.entries})
}

// Clone is the disk as a process that starts after a kill sees it: nothing is
// lost, and what was not synced is still not synced.
func (d *Disk) Clone() *Disk {
	return d.copy(&copier{whole: true, entries: func(n *node) map[string]*node { return n.entries }})
}

type copier struct {
	whole   bool // keep the difference between written and synced
	data    func(*node) content
	entries func(*node) map[string]*node
	disk    *Disk
	seen    map[*node]*node
}

func (d *Disk) copy(c *copier) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.disk, c.seen = &Disk{limit: d.limit}, map[*node]*node{}
	c.disk.root = c.node(d.root)
	if c.whole {
		for _, r := range d.renames {
			from, to, n := c.seen[r.from], c.seen[r.to], c.seen[r.n]
			if from != nil && to != nil && n != nil {
				c.disk.renames = append(c.disk.renames, rename{n, from, to, r.oldBase, r.newBase})
			}
		}
	}
	return c.disk
}

func (c *copier) node(n *node) *node {
	if m := c.seen[n]; m != nil {
		m.links++
		return m
	}
	m := &node{dir: n.dir, perm: n.perm, mtime: n.durableMtime, durableMtime: n.durableMtime, links: 1}
	c.seen[n] = m
	if n.dir {
		m.entries = map[string]*node{}
		entries := c.entries(n)
		for _, base := range slices.Sorted(maps.Keys(entries)) {
			m.entries[base] = c.node(entries[base])
		}
		m.durableEntries = map[string]*node{}
		kept := m.entries
		if !maps.Equal(entries, n.durableEntries) {
			// A name and the time of its directory are written together.
			m.mtime, m.durableMtime = n.mtime, n.mtime
		}
		if c.whole {
			m.mtime, m.durableMtime = n.mtime, n.durableMtime
			kept = map[string]*node{}
			for base, child := range n.durableEntries {
				kept[base] = c.node(child)
				kept[base].links--
			}
		}
		for base, child := range kept {
			m.durableEntries[base] = child
		}
		return m
	}
	m.dirty = map[int64]struct{}{}
	if c.whole {
		m.data, m.durable, m.mtime = n.data.clone(), n.durable.clone(), n.mtime
		for s := range n.dirty {
			m.dirty[s] = struct{}{}
		}
	} else {
		m.data = c.data(n)
		m.durable = m.data.clone()
	}
	c.disk.used += m.data.size
	return m
}

func (n *node) synced() content { return n.durable.clone() }

// luck decides what of the unsynced is on the disk.
type luck struct {
	rng *rand.Rand
	// renamed is what was decided for a node that was renamed.
	renamed map[*node]bool
}

func (l *luck) coin() bool { return l.rng.IntN(2) == 0 }

func (l *luck) data(n *node) content {
	out := n.durable.clone()
	if l.coin() {
		out.resize(n.data.size)
	}
	for _, s := range slices.Sorted(maps.Keys(n.dirty)) {
		if l.coin() {
			out.take(&n.data, s)
		}
	}
	return out
}

// entries goes through the names in order, so that rng alone decides.
func (l *luck) entries(n *node) map[string]*node {
	names := slices.Sorted(maps.Keys(n.durableEntries))
	names = slices.AppendSeq(names, maps.Keys(n.entries))
	slices.Sort(names)
	out := map[string]*node{}
	for _, base := range slices.Compact(names) {
		before, after := n.durableEntries[base], n.entries[base]
		chosen := after
		if before != after && !l.happened(before, after) {
			chosen = before
		}
		if chosen != nil {
			out[base] = chosen
		}
	}
	return out
}

// happened decides whether the change of an entry is on the disk.
func (l *luck) happened(before, after *node) bool {
	moved := after
	if moved == nil || !moved.renamed {
		moved = before
	}
	if moved == nil || !moved.renamed {
		return l.coin()
	}
	decided, ok := l.renamed[moved]
	if !ok {
		decided = l.coin()
		l.renamed[moved] = decided
	}
	return decided
}
