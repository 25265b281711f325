package smtpserver

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/service"
	"toastmaster/internal/wire"
)

// Conn is one client's connection, as sessions see it. It belongs to the
// connection's goroutine.
type Conn struct {
	srv     *Server
	ctx     context.Context
	w       *wire.Conn
	id      string
	client  netip.Addr
	started time.Time
	tls     *tls.ConnectionState
	// bare is what SetBare says, plainBare what holds without it.
	bare, plainBare wire.Policy

	session   Session
	login     Authenticator // the session, nil for one that is none
	watcher   Watcher       // the same
	forwarder Forwarder     // the same
	// told is what XCLIENT has told of the client, forwarded what XFORWARD has told of the next message.
	told      Told
	forwarded *envelope.Forwarded
	verb      *Verb // the present command
	helo      string
	esmtp     bool
	authed    bool

	tx     transaction
	again  []byte // a command that ended a chunked message, to be run next
	errors int    // since the last accepted message
	junk   int
	// rejects are the refusals of the session, gathered those of them that
	// have no line in the log.
	rejects, gathered int
	// messageRefused says that DATA or BDAT went well as a command, but its
	// message, or a recipient of it, did not.
	messageRefused bool

	// revoked is what the client is told at the end of its log-in; nil while
	// that is good.
	revoked atomic.Pointer[dsn.Error]

	trusted  bool
	forgiven bool // see ForgiveEarly
	silent   bool // see OmitGreeting
	// watchEarly: see WatchEarly.
	watchEarly, sentEarly bool
	onCommand             func() *dsn.Error
	onEnd                 func()
	stressed              atomic.Bool
	// pressure is under whose stress the connection is: the service's, the owner's (Hurry).
	pressure struct {
		sync.Mutex
		service, owner bool
	}
	// hurry is closed when the session is to end soon: by the drain, or Revoke.
	hurry     chan struct{}
	hurryOnce sync.Once

	// codes is where Reply writes the beginning of a line.
	codes [32]byte

	// secured says that the session has been told of TLS.
	secured bool
	// unwelcome is the reply to the next command, which ends the session.
	unwelcome *dsn.Error

	closing bool
	linger  bool   // the client may still be sending when it is over
	reason  string // why it is over, for the log; "" after QUIT
	stats   stats
}

// transaction is the state between MAIL and the end of the message.
type transaction struct {
	mail    bool
	utf8    bool
	from    addr.Address
	rcpts   []addr.Address // accepted
	refused int            // recipients refused
}

// WatchEarly makes SentEarly know also where Server.ForbidEarly is not set: each look
// is a system call. To be called in NewSession.
func (c *Conn) WatchEarly() { c.watchEarly = true }

// SentEarly says that the client has sent before its time in this session (see
// Server.ForbidEarly and WatchEarly); of a trusted one nobody looks.
func (c *Conn) SentEarly() bool { return c.sentEarly }

// stateful is a connection that knows about its TLS.
type stateful interface{ ConnectionState() tls.ConnectionState }

func newConn(ctx context.Context, s *Server, nc net.Conn) *Conn {
	c := &Conn{
		srv: s, ctx: ctx, w: wire.NewConn(nc, &s.pool),
		id: service.SessionID(ctx), client: service.ClientAddr(nc), started: s.Clock.Now(),
		hurry: make(chan struct{}), stats: newStats(s.commands()), forgiven: ctx.Value(forgiven{}) != nil,
	}
	c.w.ReadTimeout, c.w.WriteTimeout, c.w.MinRate = s.Timeout, s.Timeout, s.MinRate
	if s.LoginTimeout > 0 {
		c.w.Limit(time.Now().Add(s.LoginTimeout), 0)
	}
	if t, ok := nc.(stateful); ok {
		state := t.ConnectionState()
		c.tls = &state
	}
	return c
}

// Revoke ends the session because its log-in is not good any more: the client
// hears e, which should be a 421, before the next command begins, a message
// that is being received is dropped, and the sleep after an error is over. It may
// be called from any goroutine, more than once.
func (c *Conn) Revoke(e *dsn.Error) {
	c.revoked.Store(e)
	c.wakeUp()
	c.w.Cut()
}

// SetTrusted says that the client is one of ours: errors cost it no time, it may
// send early, and stress is not its affair. To be called in NewSession.
func (c *Conn) SetTrusted() { c.trusted = true }

// OmitGreeting lets the server wait for the first command without the 220: for a client that
// did not wait for it, and takes the reply to a command for that to the one before otherwise.
// To be called in NewSession.
func (c *Conn) OmitGreeting() { c.silent = true }

// ForgiveEarly is a context for ServeConn of a client that sent before its time while somebody
// else spoke with it, who let it pass: ForbidEarly does not refuse it before the greeting.
func ForgiveEarly(ctx context.Context) context.Context {
	return context.WithValue(ctx, forgiven{}, true)
}

type forgiven struct{}

// OnCommand sets what is asked before each command; its error, which should be
// a 421, ends the session. To be called in NewSession.
func (c *Conn) OnCommand(ask func() *dsn.Error) { c.onCommand = ask }

// OnEnd sets what is called when the connection is over: the session's log-out.
// To be called in NewSession.
func (c *Conn) OnEnd(f func()) { c.onEnd = f }

// Session is the session of the connection, for a verb that looks for an add-on
// of its own.
func (c *Conn) Session() Session { return c.session }

// drain ends the wait for a command, and the sleep after an error.
func (c *Conn) drain() {
	c.wakeUp()
	c.w.Interrupt()
}

// wakeUp ends the sleep after an error, and those to come.
func (c *Conn) wakeUp() { c.hurryOnce.Do(func() { close(c.hurry) }) }

// stress is what service.OnStress calls.
func (c *Conn) stress(on bool) { c.press(&c.pressure.service, on) }

// Hurry begins or ends what Server.Stress says for this connection, beside the stress of the service. It may
// be called from any goroutine, after NewSession.
func (c *Conn) Hurry(on bool) { c.press(&c.pressure.owner, on) }

func (c *Conn) press(source *bool, on bool) {
	p := &c.pressure
	p.Lock()
	defer p.Unlock()
	*source = on
	c.stressed.Store(p.service || p.owner)
	c.w.Stress(p.service || p.owner)
}

// Stressed says that the service has more clients than it likes.
func (c *Conn) Stressed() bool { return c.stressed.Load() }

// Context is cancelled when the service cannot wait any longer for the
// session.
func (c *Conn) Context() context.Context { return c.ctx }

// ID is the session's id in the log.
func (c *Conn) ID() string { return c.id }

// ClientAddr is the client's address, the zero Addr for a unix socket, service.UnknownClient for one that was
// told without an address.
func (c *Conn) ClientAddr() netip.Addr { return c.client }

// Sender is the address of who is connected, whomever that speaks for.
func (c *Conn) Sender() netip.Addr { return service.ClientAddr(c.w.NetConn()) }

// ClientPort is the client's port, Server the address that it connected to; zero for a unix socket, and for
// what XCLIENT left out.
func (c *Conn) ClientPort() uint16 {
	if c.told.Addr.IsValid() || c.told.Port != 0 {
		return c.told.Port
	}
	return portOf(c.w.NetConn().RemoteAddr()).Port()
}

// Server is told with ClientPort.
func (c *Conn) Server() netip.AddrPort {
	here := portOf(c.w.NetConn().LocalAddr())
	if ip := c.told.Server.Addr(); ip.IsValid() {
		here = netip.AddrPortFrom(ip, here.Port())
	}
	if port := c.told.Server.Port(); port != 0 {
		here = netip.AddrPortFrom(here.Addr(), port)
	}
	return here
}

// portOf is an address of TCP, zero for another one.
func portOf(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// Local says that the peer is on this host: loopback or a unix socket.
func (c *Conn) Local() bool { return !c.client.IsValid() || c.client.IsLoopback() }

// NetConn is the connection below, after STARTTLS the *tls.Conn.
func (c *Conn) NetConn() net.Conn { return c.w.NetConn() }

// TLS is the state of TLS, nil without.
func (c *Conn) TLS() *tls.ConnectionState { return c.tls }

// Helo is what the client called itself, "" before HELO and after STARTTLS.
func (c *Conn) Helo() string { return c.helo }

// SetBare sets what bare CR and LF in commands and content mean; the default
// is wire.Reject. In the content of Data's reader with CR LF line ends a bare
// LF that is not refused stays a bare LF.
func (c *Conn) SetBare(p wire.Policy) {
	c.bare = p
	c.w.In.Bare = p
}

// Protocol is the name for Received's "with" (RFC 3848, RFC 6531 section
// 4.3) of the present transaction.
func (c *Conn) Protocol() string {
	name := "SMTP"
	switch {
	case c.srv.LMTP:
		name = "LMTP"
	case c.tx.utf8:
	case c.esmtp:
		name = "ESMTP"
	}
	if c.tx.utf8 {
		name = "UTF8" + name
	}
	if c.tls != nil {
		name += "S"
	}
	if c.authed {
		name += "A"
	}
	return name
}

// clientText is the client in the log.
func (c *Conn) clientText() string { return service.ClientText(c.client) }

// serve is the life of the connection.
func (c *Conn) serve() {
	c.begin()
	if e := c.connect(); e != nil {
		c.rejected("connect", "", e)
		c.replyError(e)
		c.End("refused at connect")
	} else {
		if !c.trusted && c.srv.Stress != (Stress{}) {
			service.OnStress(c.ctx, c.stress)
		}
		if !c.early("connect") {
			c.greet()
			c.loop()
		}
	}
	if c.onEnd != nil {
		c.onEnd()
	}
	if err := c.w.Out.Flush(); err != nil && c.reason == "" {
		c.reason = "lost connection"
	}
	if c.linger || c.w.In.Buffered() > 0 {
		c.w.Linger()
	}
}

// begin makes the session.
func (c *Conn) begin() {
	c.session = c.srv.Backend.NewSession(c)
	c.login, _ = c.session.(Authenticator)
	c.watcher, _ = c.session.(Watcher)
	c.forwarder, _ = c.session.(Forwarder)
	c.w.StressTimeout = c.srv.Stress.Timeout
	if c.trusted {
		c.w.StressTimeout = 0
	}
}

// connect asks the session whether the client may go on.
func (c *Conn) connect() *dsn.Error {
	if s, ok := c.session.(Securer); ok && c.tls != nil && !c.secured {
		c.secured = true
		if e := s.Secured(c.ctx); e != nil {
			return e
		}
	}
	if s, ok := c.session.(Connector); ok {
		return s.Connect(c.ctx)
	}
	return nil
}

func (c *Conn) greet() {
	if c.silent {
		return
	}
	if c.srv.LMTP {
		c.text(220, c.srv.Hostname+" LMTP ready")
		return
	}
	c.text(220, c.srv.Hostname+" ESMTP ready")
}

// End lets the session end with the present command; reason is for the log, "" as
// after QUIT.
func (c *Conn) End(reason string) {
	c.closing = true
	c.reason = reason
}

// reset ends the transaction.
func (c *Conn) reset() {
	c.forwarded = nil
	if c.tx.mail {
		c.session.Reset()
	}
	c.tx = transaction{rcpts: c.tx.rcpts[:0]}
	if cap(c.tx.rcpts) > 16 {
		c.tx.rcpts = nil
	}
}
