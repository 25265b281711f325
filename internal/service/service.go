package service

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
)

// This file is the contract; the bodies are being written.

var errSkeleton = errors.New("service: not written yet")

// Service runs until ctx is cancelled, then drains and returns. It has started
// no goroutine that outlives Run.
type Service interface {
	Name() string
	Run(ctx context.Context) error
}

// Handler serves one connection and returns when it is over; the server
// closes the connection. ctx is cancelled when the drain time is over; Draining(ctx) tells
// an idle session to say goodbye (421, BYE) after its present command.
type Handler interface {
	ServeConn(ctx context.Context, c net.Conn)
}

// Listener is one address of a service.
type Listener struct {
	net.Listener
	// TLS makes it implicit TLS (465, 993, 995): the handshake is done, with
	// a deadline, before the handler sees the *tls.Conn.
	TLS *tls.Config
}

// Limits bound a server. Zero means no limit.
type Limits struct {
	Connections      int // at once
	PerClient        int // at once from one IP address
	Trusted          []netip.Prefix
	HandshakeTimeout time.Duration
	DrainTimeout     time.Duration
}

// Server is the Service of every TCP or unix-socket protocol.
type Server struct {
	ServiceName string
	Listeners   []Listener
	Handler     Handler
	Limits      Limits
	// Busy is written to a client over the limit before the close: "421 ..."
	Busy  string
	Log   *msglog.Log
	Clock clock.Clock
}

// Name is ServiceName.
func (s *Server) Name() string { return s.ServiceName }

// Run accepts until ctx is cancelled, then drains.
func (s *Server) Run(ctx context.Context) error { return errSkeleton }

// Sessions is the number of connections being served.
func (s *Server) Sessions() int { return 0 }

// Draining is closed when the session should end soon. It is nil (waits
// forever) for a context that does not come from a Server.
func Draining(ctx context.Context) <-chan struct{} { return nil }

// ClientAddr is the peer's IP address, the zero Addr for a unix socket.
func ClientAddr(c net.Conn) netip.Addr { return netip.Addr{} }

// NewSessionID makes the id of a session in the log: short, unique in the
// instance's lifetime.
func NewSessionID() string { return "" }
