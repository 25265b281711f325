package cache

import (
	"sync"
	"time"
)

// Map is a bounded map whose entries expire. Safe for concurrent use.
//
// It has two halves. New and used entries go to the young half; when that is
// full the old half is thrown away and the young one becomes old. An entry in
// use thus survives, at the cost of one copy per turn, without the linked list
// and the write lock per read of an LRU.
type Map[K comparable, V any] struct {
	half int // entries per half

	mu         sync.RWMutex
	young, old map[K]entry[V]
	// epoch counts the calls of Clear.
	epoch uint64
}

type entry[V any] struct {
	value   V
	expires time.Time
}

// NewMap makes a map of at most size entries, rounded up to an even number; a
// size of 0 keeps nothing.
func NewMap[K comparable, V any](size int) *Map[K, V] {
	return &Map[K, V]{half: (size + 1) / 2, young: map[K]entry[V]{}}
}

// Get returns the entry of k that is valid at now.
func (m *Map[K, V]) Get(k K, now time.Time) (V, bool) {
	m.mu.RLock()
	e, young := m.young[k]
	ok := young
	if !ok {
		e, ok = m.old[k]
	}
	m.mu.RUnlock()
	if !ok || !now.Before(e.expires) {
		var none V
		return none, false
	}
	if !young {
		m.promote(k)
	}
	return e.value, true
}

// PutSince adds an entry, unless the map was cleared since epoch was read.
func (m *Map[K, V]) PutSince(k K, v V, expires time.Time, epoch uint64) {
	if m.half == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if epoch != m.epoch {
		return
	}
	m.insert(k, entry[V]{v, expires})
}

// promote makes an old entry young, if it is still there.
func (m *Map[K, V]) promote(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.old[k]; ok {
		delete(m.old, k)
		m.insert(k, e)
	}
}

// insert is called with the lock held.
func (m *Map[K, V]) insert(k K, e entry[V]) {
	if _, known := m.young[k]; !known && len(m.young) >= m.half {
		m.old, m.young = m.young, make(map[K]entry[V])
	}
	m.young[k] = e
}

// Put adds or replaces an entry that is valid before expires.
func (m *Map[K, V]) Put(k K, v V, expires time.Time) { m.PutSince(k, v, expires, m.Epoch()) }

// Delete removes an entry.
func (m *Map[K, V]) Delete(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, k)
	delete(m.old, k)
}

// Epoch is what PutSince wants; read it before reading the value.
func (m *Map[K, V]) Epoch() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.epoch
}

// Clear forgets everything.
func (m *Map[K, V]) Clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	m.young, m.old = map[K]entry[V]{}, nil
}

// Len counts the entries, expired ones included.
func (m *Map[K, V]) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.young) + len(m.old)
}
