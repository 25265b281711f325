package service

import (
	"context"
	"net"
	"net/netip"
	"sync"
)

// session is one connection of a Server.
type session struct {
	conn    net.Conn // the socket, under TLS
	client  netip.Addr
	counted bool // in the per-client count

	mu      sync.Mutex
	onDrain func()
	drained bool
}

type sessionKey struct{}

func sessionOf(ctx context.Context) *session {
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

// register sets what to call at the drain, and calls it at once if the drain
// came first.
func (s *session) register(f func()) {
	s.mu.Lock()
	s.onDrain = f
	drained := s.drained
	s.mu.Unlock()
	if drained {
		f()
	}
}

func (s *session) drain() {
	s.mu.Lock()
	s.drained = true
	f := s.onDrain
	s.mu.Unlock()
	if f != nil {
		f()
	}
}
