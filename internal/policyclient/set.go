package policyclient

import "sync"

// Set has one client for each server and its settings. It is safe for concurrent use. The zero
// Set is empty.
type Set struct {
	mu      sync.Mutex
	clients map[Options]*Client
}

// Client is the client of a server, made when somebody asks for it first.
func (s *Set) Client(o Options) (*Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[o]; c != nil {
		return c, nil
	}
	c, err := New(o)
	if err != nil {
		return nil, err
	}
	if s.clients == nil {
		s.clients = map[Options]*Client{}
	}
	s.clients[o] = c
	return c, nil
}

// Close closes all clients.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		c.Close()
	}
	return nil
}
