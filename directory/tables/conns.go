package tables

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"toastmaster/internal/idle"
)

// server is where a table asks over connections, which it keeps for a while.
type server struct {
	network, address string
	set              *Set
	// room has a place for each connection that there may be.
	room   chan struct{}
	idle   *idle.Pool[*conn]
	closed atomic.Bool
}

type conn struct {
	net.Conn
	in *bufio.Reader
}

// serverOf is the client of a server, one for each address, which Set.Close ends. The
// caller holds s.mu.
func (s *Set) serverOf(network, address string) *server {
	if v := s.servers[network+":"+address]; v != nil {
		return v
	}
	v := &server{network: network, address: address, set: s, room: make(chan struct{}, s.o.Params.MaxConnections)}
	v.idle = idle.New(idle.Options[*conn]{Clock: s.clock, End: func(c *conn) { _ = c.Close() }})
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
	v.idle.Put("", c, v.set.o.Params.MaxIdle)
	return nil
}

func (v *server) take(ctx context.Context) (c *conn, kept bool, err error) {
	if v.closed.Load() {
		return nil, false, errClosed
	}
	for {
		if c, kept = v.idle.Take(""); !kept {
			break
		}
		if c.in.Buffered() == 0 && idle.Quiet(c.Conn) { // else it has ended, or its next answer is not to what is asked next
			return c, true, nil
		}
		_ = c.Close()
	}
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

func (v *server) close() {
	v.closed.Store(true)
	v.idle.Close()
}
