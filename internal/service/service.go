package service

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// Service runs until ctx is cancelled, then drains and returns. It has started
// no goroutine that outlives Run.
//
// A service may also have these methods, which [Group] looks for:
//
//	Ready() <-chan struct{}   closed when it serves; without it, it is ready at once
//	Addrs() []string          its addresses, for the status
//	Sessions() int            its connections, for the status
//	Close() error             gives back its listeners if Run was never called
type Service interface {
	Name() string
	Run(ctx context.Context) error
}

// Handler serves one connection and returns when it is over; the server
// closes the connection. ctx is cancelled when the drain time is over; OnDrain
// tells an idle session to say goodbye (421, BYE) after its present command.
type Handler interface {
	ServeConn(ctx context.Context, c net.Conn)
}

// Listener is one address of a service.
type Listener struct {
	net.Listener
	// TLS makes it implicit TLS (465, 993, 995): the handshake is done, with
	// a deadline, before the handler sees the *tls.Conn.
	TLS *tls.Config
	// Proxy is for a listener whose clients come through a proxy that says who they are; nil for others.
	Proxy *Proxy
}

// Proxy is who stands before a listener, and says in the PROXY protocol who the client is: the limits of clients, and
// the handler, know that one.
type Proxy struct {
	// Networks are those of the proxies; nobody else is served. Whoever may open a unix socket is one.
	Networks []netip.Prefix
	// Timeout bounds the wait for the header.
	Timeout time.Duration
}

func (p *Proxy) is(client netip.Addr) bool {
	return !client.IsValid() || InNetworks(p.Networks, client)
}

// Limits bound a server. Zero means no limit.
type Limits struct {
	Connections int // at once
	PerClient   int // at once of one client: an IPv4 address, an IPv6 /64
	// Reserved of the Connections are kept for Trusted and unix sockets, so
	// that a flood of strangers does not lock out webmail, monitoring and the
	// operator.
	Reserved int
	// Stress is how many connections of strangers mean that there is hardly
	// any place left; see OnStress. It ends with a quarter less.
	Stress int
	// Files is what all services take descriptors from; nil has no end. Cost
	// is how many a connection takes.
	Files *Files
	Cost  int
	// Allowed are the clients that are served at all, beside those of a unix
	// socket; nil is everybody.
	Allowed []netip.Prefix
	// Trusted clients, and those of a unix socket, are exempt from PerClient,
	// Reserved, Stress and Server.Admit.
	Trusted []netip.Prefix
	// Uncounted are exempt from PerClient alone.
	Uncounted        []netip.Prefix
	HandshakeTimeout time.Duration
	DrainTimeout     time.Duration
}

// OnStress calls f, from another goroutine, when the service gets into stress
// (Limits.Stress) and when it is over, and at once if it is in stress now. f must
// not wait. There is one f for a connection, and none is called for a trusted
// client.
func OnStress(ctx context.Context, f func(on bool)) {
	if s := sessionOf(ctx); s != nil && !s.trusted {
		s.watchStress(f)
	}
}

// OnDrain calls f once when the session should end soon, from another
// goroutine; at once if that is already so. f must not wait: it interrupts a
// read (wire.Conn.Interrupt) or sets a flag. There is one f for a connection,
// a later one takes its place. It costs no goroutine and no timer. With a context
// that does not come from a Server f is never called.
func OnDrain(ctx context.Context, f func()) {
	if s := sessionOf(ctx); s != nil {
		s.register(f)
	}
}
