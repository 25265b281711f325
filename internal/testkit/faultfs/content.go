package faultfs

import "slices"

const sector = 512

// content is what is in a file. Its sectors are never written again, so a copy has the
// same ones: a write puts new ones in their places. nil is a sector of zeros.
type content struct {
	size    int64
	sectors []*[sector]byte
}

func (c *content) clone() content { return content{c.size, slices.Clone(c.sectors)} }

// resize cuts, or grows with zeros.
func (c *content) resize(size int64) {
	n := int((size + sector - 1) / sector)
	if size < c.size {
		clear(c.sectors[n:])
		c.sectors = c.sectors[:n]
		if tail := size % sector; tail > 0 && c.sectors[n-1] != nil {
			cut := &[sector]byte{}
			copy(cut[:], c.sectors[n-1][:tail])
			c.sectors[n-1] = cut
		}
	}
	c.sectors = slices.Grow(c.sectors, n-len(c.sectors))[:n] // what is behind the end is nil
	c.size = size
}

// readAt reads as far as there is something.
func (c *content) readAt(p []byte, off int64) int {
	n := int(min(int64(len(p)), max(c.size-off, 0)))
	for done := 0; done < n; {
		at := off + int64(done)
		piece := p[done:min(n, done+int(sector-at%sector))]
		if s := c.sectors[at/sector]; s != nil {
			copy(piece, s[at%sector:])
		} else {
			clear(piece)
		}
		done += len(piece)
	}
	return n
}

// writeAt writes p, which fits in.
func (c *content) writeAt(p []byte, off int64) {
	for len(p) > 0 {
		s := &[sector]byte{}
		if old := c.sectors[off/sector]; old != nil {
			*s = *old
		}
		n := copy(s[off%sector:], p)
		c.sectors[off/sector] = s
		p, off = p[n:], off+int64(n)
	}
}

// take takes sector i of another content, as far as both reach.
func (c *content) take(from *content, i int64) {
	if i >= int64(len(c.sectors)) || i >= int64(len(from.sectors)) {
		return
	}
	c.sectors[i] = from.sectors[i]
	if size := c.size; size < (i+1)*sector {
		c.resize(size + sector) // and back: nothing is behind the end
		c.sectors[i] = from.sectors[i]
		c.resize(size)
	}
}
