package password

import (
	"context"
	"errors"
	"sync"

	"toastmaster/internal/anvil"
)

// errBusy means that too many log-ins wait in a lane.
var errBusy = errors.New("too many log-ins of this client, network or account are under way")

// lanes keep log-ins from being tried side by side. A lane lets in as many at
// once as there are failures left before it counts as under attack, and one at
// a time from then on; the others wait in order. A lane exists while somebody is
// in it or waits.
type lanes struct {
	most int // waiting in one lane

	mu    sync.Mutex
	lanes map[laneKey]*lane
}

type laneKey struct {
	kind anvil.Kind
	who  anvil.Key
}

type lane struct {
	inside  int
	waiting []chan struct{}
}

func newLanes(most int) *lanes { return &lanes{most: most, lanes: map[laneKey]*lane{}} }

// enter waits for a place; leave must follow when the error is nil. free is how
// many may be inside at once; below two it is one. It is asked at each change
// and must not wait.
func (l *lanes) enter(ctx context.Context, k laneKey, free func() int) error {
	l.mu.Lock()
	a := l.lanes[k]
	if a == nil {
		a = &lane{}
		l.lanes[k] = a
	}
	if len(a.waiting) == 0 && a.inside < max(free(), 1) {
		a.inside++
		l.mu.Unlock()
		return nil
	}
	if len(a.waiting) >= l.most {
		l.mu.Unlock()
		return errBusy
	}
	turn := make(chan struct{})
	a.waiting = append(a.waiting, turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	if !l.withdraw(k, turn) {
		// The turn came at the same moment.
		l.leave(k, free)
	}
	return ctx.Err()
}

// withdraw ends a wait; false means that it has ended with a place.
func (l *lanes) withdraw(k laneKey, turn chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.lanes[k]
	if a == nil {
		return false
	}
	for i, w := range a.waiting {
		if w == turn {
			a.waiting = append(a.waiting[:i], a.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// leave gives the place back.
func (l *lanes) leave(k laneKey, free func() int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.lanes[k]
	a.inside--
	for len(a.waiting) > 0 && a.inside < max(free(), 1) {
		close(a.waiting[0])
		a.waiting = a.waiting[1:]
		a.inside++
	}
	if a.inside == 0 {
		delete(l.lanes, k)
	}
}
