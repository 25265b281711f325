package cache

import (
	"sync"
	"time"
)

// generations is a bounded map in two halves. New and used entries go to the
// young half; when that is full the old half is thrown away and the young one
// becomes old. An entry in use thus survives, at the cost of one copy per
// turn, without the linked list and the write lock per read of an LRU.
type generations[K comparable, V any] struct {
	half int // entries per half

	mu         sync.RWMutex
	young, old map[K]entry[V]
	// epoch counts the calls of clear.
	epoch uint64
}

type entry[V any] struct {
	value   V
	expires time.Time
}

func newGenerations[K comparable, V any](size int) *generations[K, V] {
	return &generations[K, V]{half: (size + 1) / 2, young: map[K]entry[V]{}}
}

// get returns the entry of k that is valid at now.
func (g *generations[K, V]) get(k K, now time.Time) (V, bool) {
	g.mu.RLock()
	e, young := g.young[k]
	ok := young
	if !ok {
		e, ok = g.old[k]
	}
	epoch := g.epoch
	g.mu.RUnlock()
	if !ok || !now.Before(e.expires) {
		var none V
		return none, false
	}
	if !young {
		g.put(k, e.value, e.expires, epoch)
	}
	return e.value, true
}

// put adds an entry, unless the map was cleared since epoch was read.
func (g *generations[K, V]) put(k K, v V, expires time.Time, epoch uint64) {
	if g.half == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if epoch != g.epoch {
		return
	}
	if _, known := g.young[k]; !known && len(g.young) >= g.half {
		g.old, g.young = g.young, make(map[K]entry[V])
	}
	g.young[k] = entry[V]{v, expires}
}

// currentEpoch is what put must be given; read it before asking the directory.
func (g *generations[K, V]) currentEpoch() uint64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.epoch
}

func (g *generations[K, V]) clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.epoch++
	g.young, g.old = map[K]entry[V]{}, nil
}

func (g *generations[K, V]) len() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.young) + len(g.old)
}
