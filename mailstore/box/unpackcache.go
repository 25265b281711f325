package box

import (
	"container/list"
	"io/fs"
	"syscall"
	"time"

	"toastmaster/internal/lockorder"
	"toastmaster/internal/spool"
	"toastmaster/mailstore/volume"
)

// A client reads a large message in pieces, a FETCH each, and each would unpack a
// compressed message from its start. So what was unpacked is kept for a while, for
// all sessions, up to store.unpacked_cache. Not taken: to keep it in the session,
// whose number is bounded by nothing that is measured in octets.

// unpackedFor is how long a content is kept that nobody asks for.
const unpackedFor = time.Minute

// leastCost is what a small content counts, so that the limit bounds their
// number, too.
const leastCost = 64 << 10

// unpackedKey is a file as it was unpacked. A rename gives a file a new ctime: it
// is unpacked once more.
type unpackedKey struct {
	dev, ino     uint64
	size         int64
	mtime, ctime syscall.Timespec
}

// keyOf says what file it is; false where the file system does not tell.
func keyOf(info fs.FileInfo) (unpackedKey, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return unpackedKey{}, false
	}
	return unpackedKey{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}, true
}

// unpackedCache has the contents that were unpacked last. Its lock is one of the
// innermost.
type unpackedCache struct {
	limit int64

	mu   lockorder.Mutex[volume.InnerLock]
	cost int64
	at   map[unpackedKey]*list.Element
	// order has *keptUnpacked, the one that was used last in front.
	order list.List
}

// keptUnpacked is a content in the cache, or one that has left it and is still
// read. Under unpackedCache.mu.
type keptUnpacked struct {
	key    unpackedKey
	buffer *spool.Buffer
	cost   int64
	used   time.Time
	users  int
	left   bool
}

// get is the content of a file that is kept, nil if there is none. The caller
// closes it.
func (c *unpackedCache) get(key unpackedKey, now time.Time) *unpacked {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.at[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	k := e.Value.(*keptUnpacked)
	k.used = now
	k.users++
	return &unpacked{buffer: k.buffer, kept: k, cache: c}
}

// put keeps a content, if there is room for it, and is the content for its
// caller.
func (c *unpackedCache) put(key unpackedKey, b *spool.Buffer, now time.Time) *unpacked {
	cost := max(b.Size(), leastCost)
	if cost > c.limit {
		return &unpacked{buffer: b}
	}
	k := &keptUnpacked{key: key, buffer: b, cost: cost, used: now, users: 1}
	c.mu.Lock()
	if c.at == nil {
		c.at = map[unpackedKey]*list.Element{}
	}
	var out []*spool.Buffer
	if e := c.at[key]; e != nil { // two have unpacked it at once
		out = append(out, c.take(e)...)
	}
	for c.cost+cost > c.limit {
		out = append(out, c.take(c.order.Back())...)
	}
	c.at[key] = c.order.PushFront(k)
	c.cost += cost
	c.mu.Unlock()
	closeAll(out)
	return &unpacked{buffer: b, kept: k, cache: c}
}

// take takes a content out, and is what nobody reads any more.
func (c *unpackedCache) take(e *list.Element) []*spool.Buffer {
	k := c.order.Remove(e).(*keptUnpacked)
	delete(c.at, k.key)
	c.cost -= k.cost
	k.left = true
	if k.users > 0 {
		return nil
	}
	return []*spool.Buffer{k.buffer}
}

// dropUnused takes out what was last used before.
func (c *unpackedCache) dropUnused(before time.Time) {
	c.mu.Lock()
	var out []*spool.Buffer
	for e := c.order.Back(); e != nil && e.Value.(*keptUnpacked).used.Before(before); e = c.order.Back() {
		out = append(out, c.take(e)...)
	}
	c.mu.Unlock()
	closeAll(out)
}

// clear takes out everything.
func (c *unpackedCache) clear() {
	c.mu.Lock()
	var out []*spool.Buffer
	for c.order.Len() > 0 {
		out = append(out, c.take(c.order.Back())...)
	}
	c.mu.Unlock()
	closeAll(out)
}

// done is the end of one use.
func (c *unpackedCache) done(k *keptUnpacked) error {
	c.mu.Lock()
	k.users--
	last := k.left && k.users == 0
	c.mu.Unlock()
	if last {
		return k.buffer.Close()
	}
	return nil
}

// closeAll closes contents that are nobody's: what closing a file without a name
// says is of no use to whoever pushed it out.
func closeAll(buffers []*spool.Buffer) {
	for _, b := range buffers {
		_ = b.Close()
	}
}

// Size is the number of octets of the mail.
func (u *unpacked) Size() int64 { return u.buffer.Size() }

// Bytes is the mail when it lies in memory.
func (u *unpacked) Bytes() ([]byte, bool) { return u.buffer.Bytes() }

// ReadAt reads from memory or file.
func (u *unpacked) ReadAt(p []byte, off int64) (int, error) { return u.buffer.ReadAt(p, off) }

// Close ends this use of it. A second Close does nothing.
func (u *unpacked) Close() error {
	if u.cache == nil {
		return u.buffer.Close()
	}
	k := u.kept
	if u.kept = nil; k == nil {
		return nil
	}
	return u.cache.done(k)
}
