package diskcache

import (
	"sync"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
)

// Options are what a Cache is made of.
type Options struct {
	// Path is the file; "" keeps everything in memory only.
	Path string
	// Limit is how many entries there may be.
	Limit int
	// Save is the time between two writes; 0 is ten seconds.
	Save  time.Duration
	FS    vfs.FS
	Clock clock.Clock
	Log   *msglog.Log
}

// Cache is safe for concurrent use.
type Cache struct {
	o Options

	mu      sync.Mutex
	entries map[string]entry
	// changed are the keys that the file does not know as they are.
	changed map[string]struct{}
	// lines is how many the file has; whole says that the next write makes another file,
	// because nobody knows what is in this one.
	lines int
	whole bool
	// broken says that the last write failed, and was logged.
	broken bool
}

type entry struct {
	value string
	until time.Time
}

// Get is the value of a key, while it holds.
func (c *Cache) Get(key string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok || !e.until.After(c.o.Clock.Now()) {
		return "", false
	}
	return e.value, true
}

// Put keeps a value until then, which is in the future; in the place of the one that the key had.
func (c *Cache) Put(key, value string, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[key]; !ok && len(c.entries) >= c.o.Limit {
		c.makeRoom()
	}
	c.entries[key] = entry{value, until}
	c.changed[key] = struct{}{}
}

// Delete forgets a key.
func (c *Cache) Delete(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[key]; ok {
		c.drop(key)
	}
}

// Len is the number of entries, also of those that do not hold any more.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

// sample is from how many entries the one is chosen that makes room.
const sample = 32

// makeRoom drops an entry; mu is held. The order of a map is random enough.
func (c *Cache) makeRoom() {
	var first string
	seen := 0
	for key, e := range c.entries {
		if seen == 0 || e.until.Before(c.entries[first].until) {
			first = key
		}
		if seen++; seen == sample {
			break
		}
	}
	if seen > 0 {
		c.drop(first)
	}
}

// drop forgets a key that is there; mu is held.
func (c *Cache) drop(key string) {
	delete(c.entries, key)
	c.changed[key] = struct{}{}
}
