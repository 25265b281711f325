package service

import (
	"context"
	"net"
	"sync"
	"time"
)

// Watcher lets a session that has one goroutine, blocked in Read, be woken
// when the server drains, without disturbing one that is in the middle of a
// command or a message.
type Watcher struct {
	conn net.Conn

	mu       sync.Mutex
	idle     bool
	draining bool
}

// Watch makes the session's Watcher. c may be the connection under a TLS
// layer that comes later; deadlines pass through. There is one Watcher for a
// connection; with a context that does not come from a Server it only sets
// deadlines.
func Watch(ctx context.Context, c net.Conn) *Watcher {
	w := &Watcher{conn: c}
	if s := sessionOf(ctx); s != nil {
		s.watch(w)
	}
	return w
}

// Idle is called before waiting for the next command; the wait ends at
// deadline. False means that the server drains: say goodbye and return. A Read
// that fails with a timeout may have been woken for that: ask Draining.
func (w *Watcher) Idle(deadline time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining {
		return false
	}
	w.idle = true
	// A connection that cannot have deadlines fails at its next Read.
	_ = w.conn.SetReadDeadline(deadline)
	return true
}

// Busy is called when a command has arrived; what is read until the next Idle
// (a message, a literal) has until deadline, the zero Time for no limit.
func (w *Watcher) Busy(deadline time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle = false
	_ = w.conn.SetReadDeadline(deadline)
}

// Draining says that the server drains.
func (w *Watcher) Draining() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.draining
}

// drain wakes the session if it is idle.
func (w *Watcher) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	if w.idle {
		_ = w.conn.SetReadDeadline(time.Unix(1, 0))
	}
}
