package api

import (
	"net"
	"net/netip"
	"sync"

	"toastmaster/internal/service"
)

// limitListener closes connections over the limits at once. Waiting with the
// accept instead (x/net/netutil) would let one client lock out all.
type limitListener struct {
	net.Listener
	most, perClient int
	reserved        int // of most, for exempt clients
	exempt          []netip.Prefix

	mu      sync.Mutex
	count   int
	clients map[netip.Addr]int
}

func newLimitListener(l net.Listener, o Options) *limitListener {
	return &limitListener{
		Listener: l, most: o.Params.MaxConnections, perClient: o.Params.MaxClient, reserved: o.Params.Reserved, exempt: o.Trusted,
		clients: map[netip.Addr]int{},
	}
}

// Accept waits for a connection that is within the limits.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client := service.ClientAddr(c)
		if l.enter(client) {
			return &limitConn{Conn: c, leave: func() { l.exit(client) }}, nil
		}
		_ = c.Close()
	}
}

func (l *limitListener) enter(client netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	stranger := client.IsValid() && !service.InNetworks(l.exempt, client)
	if l.count >= l.most || stranger && l.count >= max(l.most-l.reserved, 1) ||
		stranger && l.perClient > 0 && l.clients[client] >= l.perClient {
		return false
	}
	l.count++
	l.clients[client]++
	return true
}

func (l *limitListener) exit(client netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count--
	l.clients[client]--
	if l.clients[client] == 0 {
		delete(l.clients, client)
	}
}

func (l *limitListener) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// limitConn gives its place back when it is closed.
type limitConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

// NetConn is the connection below, as tls.Conn has it.
func (c *limitConn) NetConn() net.Conn { return c.Conn }

// Close closes the connection.
func (c *limitConn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}
