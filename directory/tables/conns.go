package tables

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// server is where a table asks over connections, which it keeps for a while.
type server struct {
	network, address string
	set              *Set
	// room has a place for each connection that there may be.
	room chan struct{}

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

type conn struct {
	net.Conn
	in *bufio.Reader
	// idle closes it when nobody has wanted it.
	idle *time.Timer
}

// serverOf is the client of a server, one for each address, which Set.Close ends. The
// caller holds s.mu.
func (s *Set) serverOf(network, address string) *server {
	if v := s.servers[network+":"+address]; v != nil {
		return v
	}
	v := &server{network: network, address: address, set: s, room: make(chan struct{}, s.o.Params.MaxConnections)}
	s.servers[network+":"+address] = v
	s.closers = append(s.closers, v.close)
	return v
}

var errClosed = errors.New("the tables are closed")

// exchange calls ask with a connection. One that was kept may have been ended by the
// server meanwhile: then ask is called again with a new one.
func (v *server) exchange(ctx context.Context, ask func(*conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, v.set.o.Params.Timeout)
	defer cancel()
	select {
	case v.room <- struct{}{}:
		defer func() { <-v.room }()
	case <-ctx.Done():
		return fmt.Errorf("all %d connections to %s are in use (tables.max_connections): %w", cap(v.room), v.address, ctx.Err())
	}
	for {
		c, kept, err := v.take(ctx)
		if err != nil {
			return err
		}
		err = v.with(ctx, c, ask)
		if err == nil || !kept || ctx.Err() != nil {
			return err
		}
	}
}

// with asks over one connection, and keeps it when all went well.
func (v *server) with(ctx context.Context, c *conn, ask func(*conn) error) error {
	// Sockets live in real time.
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	err := ask(c)
	if !stop() || err != nil {
		_ = c.Close()
		if ctx.Err() != nil && err != nil {
			return fmt.Errorf("%s: no answer in time: %w", v.address, ctx.Err())
		}
		return err
	}
	v.keep(c)
	return nil
}

func (v *server) take(ctx context.Context) (c *conn, kept bool, err error) {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return nil, false, errClosed
	}
	for len(v.idle) > 0 {
		c = v.idle[len(v.idle)-1]
		v.idle = v.idle[:len(v.idle)-1]
		if c.idle.Stop() {
			v.mu.Unlock()
			return c, true, nil
		}
	}
	v.mu.Unlock()
	dial := v.set.o.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	nc, err := dial(ctx, v.network, v.address)
	if err != nil {
		return nil, false, err
	}
	return &conn{Conn: nc, in: bufio.NewReader(nc)}, false, nil
}

func (v *server) keep(c *conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		_ = c.Close()
		return
	}
	c.idle = time.AfterFunc(v.set.o.Params.MaxIdle, func() { v.drop(c) })
	v.idle = append(v.idle, c)
}

// drop ends a connection that nobody wanted. Who takes it now finds its timer run out.
func (v *server) drop(c *conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, other := range v.idle {
		if other == c {
			v.idle = append(v.idle[:i], v.idle[i+1:]...)
			break
		}
	}
	_ = c.Close()
}

func (v *server) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	for _, c := range v.idle {
		c.idle.Stop()
		_ = c.Close()
	}
	v.idle = nil
}
