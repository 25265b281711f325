package box

import (
	"path/filepath"

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

func (v *View) dropWindow() {
	v.ahead = 0
	if v.window == nil {
		return
	}
	if len(v.window.buf) == windowSize {
		v.mb.o.Memory.windows.Put(v.window)
	}
	v.window = nil
}

// cached reads an entry through the window; nil if it is damaged.
func (v *View) cached(m *index.Message) ([]byte, error) {
	w := v.window
	if w == nil {
		w, _ = v.mb.o.Memory.windows.Get().(*window)
		if w == nil {
			w = &window{buf: make([]byte, windowSize)}
		}
		w.live = 0
		v.window = w
	}
	return v.read(w, m.CacheOff, int64(m.CacheLen), m.UID)
}

// backlog is how much before an entry is read with it, for what lies there.
const backlog = 2 << 10

// read reads an entry through the window; nil if it is damaged.
func (v *View) read(w *window, off, n int64, uid uint32) ([]byte, error) {
	if ok, err := v.cover(w, off, off+n); !ok {
		return nil, err
	}
	data, ok := index.Entry(w.buf[off-w.off:][:n], uid)
	if !ok {
		return nil, nil
	}
	return data, nil
}

func (w *window) covers(from, to int64) bool { return from >= w.off && to <= w.off+int64(w.live) }

// Ahead says that the messages first to last are asked for next, so that no more of
// the cache is read than they need. It ends with the next Update.
func (v *View) Ahead(first, last uint32) {
	v.ahead = 0
	if v.uid(first) == 0 || v.uid(last) == 0 {
		return
	}
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	if a, b := v.live(first), v.live(last); a != nil && b != nil && a.CacheOff <= b.CacheOff {
		v.ahead = b.CacheOff + int64(b.CacheLen)
	}
}

// cover makes the window one with [from,to) of the cache in it, and as much of what
// follows as it holds. It is not ok when the cache has no such octets.
func (v *View) cover(w *window, from, to int64) (ok bool, err error) {
	if w.covers(from, to) {
		return true, nil
	}
	from = max(from-backlog, 0)
	if n := to - from; n > int64(len(w.buf)) {
		w.buf = make([]byte, n)
	}
	buf := w.buf
	if v.ahead >= to && v.ahead-from < int64(len(buf)) {
		buf = buf[:v.ahead-from]
	}
	got, err := v.mb.records.cache.ReadAt(buf, from)
	if from+int64(got) >= to {
		w.off, w.live = from, got
		return true, nil
	}
	w.live = 0
	if volume.Odd(err) {
		v.mb.vol.SayOnce(filepath.Join(v.mb.path, index.CacheFile), "a small file that cannot be read", err)
		return false, nil // the message is scanned
	}
	return false, onlyReal(err)
}
