package imapd

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/gate"
	"toastmaster/directory/logins"
	"toastmaster/directory/password"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/wire"
	"toastmaster/mailstore"
	"toastmaster/mailstore/login"
)

// Options are what a server is made of.
type Options struct {
	Config configs.IMAPD
	Store  *mailstore.Store
	Auth   *password.Authenticator
	// Watch ends sessions whose log-in is not good any more; nil ends none.
	Watch *logins.Watch
	// TLS is for STARTTLS; nil offers none. Implicit TLS is the listener's.
	TLS *tls.Config
	// HandshakeTimeout bounds STARTTLS: tls.handshake_timeout.
	HandshakeTimeout time.Duration
	// Hostname is the name in the greeting.
	Hostname string
	// Counter counts the connections of a user from a client; nil limits none.
	Counter *anvil.Counter
	Log     *msglog.Log
	Clock   clock.Clock
}

// Busy is what service.Server should tell a client over its limits.
const Busy = "* BYE Too many connections, try again later\r\n"

// Server is the service.Handler of IMAP. Safe for concurrent use.
type Server struct {
	options Options
	config  configs.IMAPD
	gate    *login.Gate
	log     *msglog.Log
	// Made of the rows of table; see setVerbs.
	verbs                 map[string]*verb
	caps                  []capability
	capsBefore, capsAfter string
	keys                  map[string]keyReader
	// Both are the constants, but in tests.
	lookEvery, patience int
}

// New makes a server.
func New(o Options) *Server {
	s := &Server{options: o, config: o.Config, log: o.Log, lookEvery: lookEvery, patience: patience, keys: keyReaders()}
	s.setVerbs(table())
	s.gate = &login.Gate{
		Gate: gate.Gate{
			Service: "imapd", Authenticate: o.Auth.Authenticate, SecureNetworks: gate.Loopback(),
			MaxFailures: o.Config.MaxLoginFailures, PerUser: o.Config.MaxUserIP, Counter: o.Counter, Watch: o.Watch, Log: o.Log,
		},
		Open: o.Store.Session, TLS: o.TLS,
		Timeout: o.Config.LoginTimeout, StressTimeout: o.Config.StressTimeout, HandshakeTimeout: o.HandshakeTimeout,
	}
	return s
}

// ServeConn serves one connection to its end. It is service.Handler.
func (srv *Server) ServeConn(ctx context.Context, nc net.Conn) {
	l := srv.gate.Connect(nc)
	c := newConn(l.Wire, &srv.gate.Pool)
	c.In.MaxLine, c.In.MaxSkipped, c.In.Bare = int(srv.config.MaxLine), srv.config.MaxLiteral, wire.Allow
	c.ReadTimeout, c.EachRead = srv.config.CommandTimeout, true
	c.IdleTimeout, c.WriteTimeout = srv.config.IdleTimeout, srv.config.WriteTimeout
	s := &session{srv: srv, c: c, login: l, ctx: l.Begin(ctx)}
	c.ctx, c.lookEvery, c.patience = s.ctx, srv.lookEvery, srv.patience
	defer s.close()
	s.serve()
	s.hangUp()
}
