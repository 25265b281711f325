package proxymap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"toastmaster/internal/msglog"
	"toastmaster/internal/netstring"
	"toastmaster/internal/service"
	"toastmaster/internal/wire"
)

// session is one client's connection. All but draining is its goroutine's.
type session struct {
	d          *Daemon
	link       *wire.Link
	in         *bufio.Reader
	id, client string
	// until is when the present read ends, and idle says that it waits for a request
	// that has not begun.
	until time.Time
	idle  bool
	// unknown says that the log has this client's first request for a table that there is not.
	unknown bool
	// requests and failed are how many there were.
	requests, failed int
	draining         atomic.Bool
}

func newSession(d *Daemon, c net.Conn) *session {
	s := &session{d: d, link: wire.NewLink(c), id: service.NewSessionID(), client: service.ClientText(service.ClientAddr(c))}
	s.in = bufio.NewReader(reader{s})
	return s
}

// reader reads from the link within the session's deadline.
type reader struct{ s *session }

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) { return r.s.link.Read(p, r.s.until, r.s.ended) }

// Why a session ends that goes well.
var (
	errDraining = errors.New("the service stops")
	errUsed     = errors.New("max_use")
)

// ended ends a wait for a request that has not begun.
func (s *session) ended() error {
	if s.idle && s.draining.Load() {
		return errDraining
	}
	return nil
}

func (s *session) serve(ctx context.Context) {
	service.OnDrain(ctx, func() {
		s.draining.Store(true)
		s.link.Poke()
	})
	log, began := s.d.o.Log, s.d.o.Clock.Now()
	log.Event(msglog.Connect{Service: serviceName, Session: s.id, Client: s.client})
	err := s.exchange(ctx)
	for err == nil {
		err = s.exchange(ctx)
	}
	log.Event(msglog.Disconnect{
		Service: serviceName, Session: s.id, Client: s.client, Duration: s.d.o.Clock.Now().Sub(began), Reason: s.reason(err),
		Stats: fmt.Sprintf("requests=%d failed=%d", s.requests, s.failed),
	})
}

// exchange is one request and its answer.
func (s *session) exchange(ctx context.Context) error {
	p := s.d.o.Params
	if p.MaxUse > 0 && s.requests >= p.MaxUse {
		return errUsed
	}
	if s.draining.Load() {
		return errDraining
	}
	// Sockets live in real time.
	s.idle, s.until = true, time.Now().Add(p.MaxIdle)
	if _, err := s.in.Peek(1); err != nil {
		return err
	}
	s.idle, s.until = false, time.Now().Add(p.Timeout)
	request, err := netstring.Read(s.in, p.RequestLimit)
	if err != nil {
		return err
	}
	s.requests++
	_, err = s.link.Write(netstring.Append(nil, s.answer(ctx, string(request))), p.Timeout)
	return err
}

// reason is for the log, and no more than what the client did: its octets are in no line.
func (s *session) reason(err error) string {
	var long *netstring.TooLong
	switch {
	case err == io.EOF:
		return "closed"
	case errors.Is(err, os.ErrDeadlineExceeded) && s.idle:
		return "idle"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timed out"
	case errors.As(err, &long):
		return fmt.Sprintf("a request of %d octets (proxymap.request_limit)", long.Length)
	case errors.Is(err, netstring.ErrSyntax):
		return "protocol error"
	case err == errDraining || err == errUsed:
		return err.Error()
	}
	return "lost connection"
}
