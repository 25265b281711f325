package lockorder

import "sync"

// Rank is where a lock stands in the order; a higher At is taken later.
type Rank struct {
	Name string
	At   int
}

// Violation is what a lock that is taken out of order panics with. A fence (service.Fenced)
// ends the process with it: it is no trouble of one message, but a mistake of the program,
// which no test may hide.
type Violation string

// Ranked is a type that stands for a rank.
type Ranked interface{ Rank() Rank }

// Mutex is a sync.Mutex of rank P. The zero Mutex is free.
type Mutex[P Ranked] struct {
	mu sync.Mutex
	// Key orders locks of one rank. It is set before the first Lock.
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

// RWMutex is a sync.RWMutex of rank P.
type RWMutex[P Ranked] struct{ mu sync.RWMutex }

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

// Foreign gives a lock of another kind, such as flock(2), the rank P.
type Foreign[P Ranked] struct {
	// Key orders locks of one rank.
	Key string
	// A type without size would share its address with others.
	_ byte
}

// Enter says that the lock is about to be taken, and Leave that it was given back.
func (m *Foreign[P]) Enter() { enter[P](m, m.Key) }

// Leave is the end of Enter.
func (m *Foreign[P]) Leave() { leave(m) }
