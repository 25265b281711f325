package box

import (
	"path/filepath"
	"slices"

	"toastmaster/internal/mime"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/volume"
)

const windowSize = 64 << 10

// window is a piece of a cache file.
type window struct {
	buf  []byte
	off  int64
	live int // octets of buf that are valid
}

// cacheReader reads what the cache of a mailbox has of messages, through a window that one
// session has. The mailbox is locked, and its records are what the methods are given.
type cacheReader struct {
	// window is nil between updates, so that an idle session holds none.
	window *window
	// until is where in the cache the messages end that are asked for, 0 if that is not
	// known.
	until int64
}

// drop gives the window back.
func (c *cacheReader) drop(memory *Memory) {
	if c.until = 0; c.window == nil {
		return
	}
	if len(c.window.buf) == windowSize {
		memory.windows.Put(c.window)
	}
	c.window = nil
}

// entry reads an entry through the window; nil if it is damaged.
func (c *cacheReader) entry(r *records, m *index.Message) ([]byte, error) {
	w := c.window
	if w == nil {
		w, _ = r.memory.windows.Get().(*window)
		if w == nil {
			w = &window{buf: make([]byte, windowSize)}
		}
		w.live = 0
		c.window = w
	}
	return c.read(r, m.CacheOff, int64(m.CacheLen), m.UID)
}

// backlog is how much before an entry is read with it, for what lies there.
const backlog = 2 << 10

// read reads an entry through the window; nil if it is damaged.
func (c *cacheReader) read(r *records, off, n int64, uid uint32) ([]byte, error) {
	w := c.window
	if ok, err := c.cover(r, off, off+n); !ok {
		return nil, err
	}
	data, ok := index.Entry(w.buf[off-w.off:][:n], uid)
	if !ok {
		return nil, nil
	}
	return data, nil
}

func (w *window) covers(from, to int64) bool { return from >= w.off && to <= w.off+int64(w.live) }

// cover makes the window one with [from,to) of the cache in it, and as much of what
// follows as it holds. It is not ok when the cache has no such octets.
func (c *cacheReader) cover(r *records, from, to int64) (ok bool, err error) {
	w := c.window
	if w.covers(from, to) {
		return true, nil
	}
	from = max(from-backlog, 0)
	if n := to - from; n > int64(len(w.buf)) {
		w.buf = make([]byte, n)
	}
	buf := w.buf
	if c.until >= to && c.until-from < int64(len(buf)) {
		buf = buf[:c.until-from]
	}
	got, err := r.cache.ReadAt(buf, from)
	if from+int64(got) >= to {
		w.off, w.live = from, got
		return true, nil
	}
	w.live = 0
	if volume.Odd(err) {
		r.files.vol.SayOnce(filepath.Join(r.files.path, index.CacheFile), "a small file that cannot be read", err)
		return false, nil // the message is scanned
	}
	return false, onlyReal(err)
}

// record reads the record of a message. It is not found when it is lost, and m has no
// parts then, or when it is not whole.
func (c *cacheReader) record(r *records, is *index.Message, m *mime.Message, whole bool) (found bool, err error) {
	m.Parts = m.Parts[:0]
	data, err := c.data(r, is)
	if err != nil || data == nil {
		return false, err
	}
	if m.Parse(data) != nil {
		m.Parts = m.Parts[:0]
		return false, nil
	}
	if !whole {
		return true, nil
	}
	if !m.Whole() {
		return false, nil
	}
	front, err := c.front(r, is, m)
	if err != nil || front == nil {
		return false, err
	}
	return m.Fields.Parse(front) == nil, nil
}

// front is what lies before the entry of a message, whose record is m; nil if it is
// damaged. m goes on pointing into the window.
func (c *cacheReader) front(r *records, is *index.Message, m *mime.Message) ([]byte, error) {
	w, n := c.window, index.FrontLen(m.FieldsSize())
	from, end := is.CacheOff-n, is.CacheOff+int64(is.CacheLen)
	if from < 0 {
		return nil, nil
	}
	if !w.covers(from, end) {
		if ok, err := c.cover(r, from, end); !ok {
			return nil, err
		}
		data, ok := index.Entry(w.buf[is.CacheOff-w.off:][:is.CacheLen], is.UID)
		if !ok || m.Parse(data) != nil {
			return nil, nil
		}
	}
	return c.read(r, from, n, is.UID)
}

// copyOf is what the cache keeps of a message, to be written elsewhere.
func (c *cacheReader) copyOf(r *records, is *index.Message) (index.Record, error) {
	var m mime.Message
	found, err := c.record(r, is, &m, true)
	if err != nil || !found {
		data, err := c.data(r, is)
		return index.Record{Data: slices.Clone(data)}, err
	}
	return recordOf(&m), nil
}

// data is the record of a message, nil if there is none, it is damaged, or of
// a version that mime does not read.
func (c *cacheReader) data(r *records, m *index.Message) ([]byte, error) {
	if m.CacheLen == 0 {
		return nil, nil
	}
	data, err := c.entry(r, m)
	if err != nil || !mime.Readable(data) {
		return nil, err
	}
	return data, nil
}
