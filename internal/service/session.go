package service

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"toastmaster/internal/anvil"
)

// session is one connection of a Server.
type session struct {
	conn    net.Conn // the socket, under TLS
	client  netip.Addr
	key     anvil.Key // of the client in the count, nobody for a trusted one
	trusted bool

	mu       sync.Mutex
	onStress func(on bool)
	stressed bool
	onDrain  func()
	drained  bool
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

// watchStress sets what to call, and calls it if there is stress. It is called
// under the lock, so that the last call tells what is.
func (s *session) watchStress(f func(on bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onStress = f
	if s.stressed {
		f(true)
	}
}

func (s *session) stress(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stressed = on
	if s.onStress != nil {
		s.onStress(on)
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
