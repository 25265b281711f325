package queue

import "sync"

// rank is the place of a lock in the table of doc.go: whoever holds one takes only
// locks of a higher rank.
type rank uint8

const (
	rankRemoving rank = iota + 1
	rankMessage
	rankFolders
	rankDepartures
	rankIndex
)

// mutex is a lock with a rank. watch, which tests set, is told before it is taken and
// after it is given back.
type mutex struct {
	mu    sync.Mutex
	rank  rank
	watch watch
}

type watch func(r rank, taken bool)

// Lock takes it.
func (l *mutex) Lock() {
	if l.watch != nil {
		l.watch(l.rank, true)
	}
	l.mu.Lock()
}

// Unlock gives it back.
func (l *mutex) Unlock() {
	l.mu.Unlock()
	if l.watch != nil {
		l.watch(l.rank, false)
	}
}
