package lockorder

import "sync"

// Place is where a lock stands in the order; a higher At is taken later.
type Place struct {
	Name string
	At   int
}

// Violation is what a lock that is taken out of order panics with. A fence lets it through
// (service.Fenced): it is no trouble of one message, but a mistake of the program, which no
// test may hide.
type Violation string

// Placed is a type that is a place.
type Placed interface{ Place() Place }

// Mutex is a sync.Mutex at place P. The zero Mutex is free.
type Mutex[P Placed] struct {
	mu sync.Mutex
	// Key orders locks at one place. It is set before the first Lock.
	Key string
}

// Lock takes it.
func (m *Mutex[P]) Lock() {
	enter[P](m, m.Key)
	m.mu.Lock()
}

// Unlock gives it back.
func (m *Mutex[P]) Unlock() {
	m.mu.Unlock()
	leave(m)
}

// RWMutex is a sync.RWMutex at place P.
type RWMutex[P Placed] struct{ mu sync.RWMutex }

// Lock takes it alone.
func (m *RWMutex[P]) Lock() {
	enter[P](m, "")
	m.mu.Lock()
}

// Unlock gives it back.
func (m *RWMutex[P]) Unlock() {
	m.mu.Unlock()
	leave(m)
}

// RLock takes it together with others.
func (m *RWMutex[P]) RLock() {
	enter[P](m, "")
	m.mu.RLock()
}

// RUnlock gives it back.
func (m *RWMutex[P]) RUnlock() {
	m.mu.RUnlock()
	leave(m)
}

// Mark stands for a lock of another kind at place P.
type Mark[P Placed] struct {
	// Key orders marks at one place.
	Key string
	// A type without size would share its address with others.
	_ byte
}

// Enter says that the lock is about to be taken, and Leave that it was given back.
func (m *Mark[P]) Enter() { enter[P](m, m.Key) }

// Leave is the end of Enter.
func (m *Mark[P]) Leave() { leave(m) }
