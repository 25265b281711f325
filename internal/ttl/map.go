package ttl

import (
	"sync"
	"time"

	"toastmaster/internal/clock"
)

// Map is a bounded map whose entries end. Safe for concurrent use.
type Map[K comparable, V any] struct {
	half  int // entries per half
	clock clock.Clock

	mu         sync.RWMutex
	young, old map[K]entry[V]
	// epoch counts the calls of Clear.
	epoch uint64
}

type entry[V any] struct {
	value V
	until time.Time
}

// NewMap makes a map of at most size entries, rounded up to an even number; a
// size of 0 keeps nothing.
func NewMap[K comparable, V any](size int, c clock.Clock) *Map[K, V] {
	return &Map[K, V]{half: (size + 1) / 2, clock: c, young: map[K]entry[V]{}}
}

// Get returns the entry of k whose time is not over.
func (m *Map[K, V]) Get(k K) (V, bool) {
	m.mu.RLock()
	e, young := m.young[k]
	ok := young
	if !ok {
		e, ok = m.old[k]
	}
	m.mu.RUnlock()
	if !ok || !m.clock.Now().Before(e.until) {
		var none V
		return none, false
	}
	if !young {
		m.promote(k)
	}
	return e.value, true
}

// Put adds or replaces an entry that is valid before a time. One whose time is over only
// takes away what was there.
func (m *Map[K, V]) Put(k K, v V, until time.Time) { m.put(k, v, until, nil) }

// PutSince is Put, unless the map was cleared since epoch was read.
func (m *Map[K, V]) PutSince(k K, v V, until time.Time, epoch uint64) { m.put(k, v, until, &epoch) }

func (m *Map[K, V]) put(k K, v V, until time.Time, epoch *uint64) {
	if m.half == 0 {
		return
	}
	over := !m.clock.Now().Before(until)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case epoch != nil && *epoch != m.epoch:
	case over:
		m.delete(k)
	default:
		m.insert(k, entry[V]{v, until})
	}
}

// promote makes an old entry young, if it is still there.
func (m *Map[K, V]) promote(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.old[k]; ok {
		m.insert(k, e)
	}
}

// insert is called with the lock held. An entry is in one of the halves.
func (m *Map[K, V]) insert(k K, e entry[V]) {
	delete(m.old, k)
	if _, known := m.young[k]; !known && len(m.young) >= m.half {
		m.old, m.young = m.young, make(map[K]entry[V])
	}
	m.young[k] = e
}

// Delete removes an entry.
func (m *Map[K, V]) Delete(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.delete(k)
}

func (m *Map[K, V]) delete(k K) {
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

// Len counts the entries, those included whose time is over.
func (m *Map[K, V]) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.young) + len(m.old)
}
