package service

import (
	"context"
	"net"
	"net/netip"
	"sync"
)

// session is one connection of a Server.
type session struct {
	conn     net.Conn // the socket, under TLS
	client   netip.Addr
	counted  bool // in the per-client count
	draining <-chan struct{}

	mu      sync.Mutex
	watcher *Watcher
	drained bool
}

type sessionKey struct{}

func sessionOf(ctx context.Context) *session {
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

// watch registers the Watcher, and tells it at once if the drain came first.
func (s *session) watch(w *Watcher) {
	s.mu.Lock()
	s.watcher = w
	drained := s.drained
	s.mu.Unlock()
	if drained {
		w.drain()
	}
}

func (s *session) drain() {
	s.mu.Lock()
	s.drained = true
	w := s.watcher
	s.mu.Unlock()
	if w != nil {
		w.drain()
	}
}
