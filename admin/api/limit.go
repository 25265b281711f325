package api

import (
	"net"
	"net/netip"
	"sync"

	"toastmaster/internal/anvil"
	"toastmaster/internal/service"
)

// limitListener closes connections over the limits at once. Waiting with the
// accept instead (x/net/netutil) would let one client lock out all.
type limitListener struct {
	net.Listener
	most, perClient int
	reserved        int // of most, for exempt clients
	exempt          func() []netip.Prefix
	clients         *anvil.Counter

	mu    sync.Mutex
	count int
}

// trusted are Trusted now.
func (o *Options) trusted() []netip.Prefix {
	if o.Trusted == nil {
		return nil
	}
	return o.Trusted()
}

func newLimitListener(l net.Listener, o Options) *limitListener {
	return &limitListener{
		Listener: l, most: o.Params.MaxConnections, perClient: o.Params.MaxClient, reserved: o.Params.Reserved, exempt: o.trusted,
		clients: o.Counter,
	}
}

// Accept waits for a connection that is within the limits.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if key, ok := l.enter(service.ClientAddr(c)); ok {
			return &limitConn{Conn: c, leave: func() { l.exit(key) }}, nil
		}
		_ = c.Close()
	}
}

// enter counts a connection in. The key, which is nobody for an exempt client, is
// for exit.
func (l *limitListener) enter(client netip.Addr) (key anvil.Key, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stranger := client.IsValid() && !service.InNetworks(l.exempt(), client)
	if stranger {
		key = anvil.Name("admin").From(l.clients.AnyClient(client))
	}
	if l.count >= l.most || stranger && l.count >= max(l.most-l.reserved, 1) || !l.clients.Enter(anvil.Connect, key, l.perClient) {
		return key, false
	}
	l.count++
	return key, true
}

func (l *limitListener) exit(key anvil.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count--
	l.clients.Leave(anvil.Connect, key)
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
