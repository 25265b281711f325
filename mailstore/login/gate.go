package login

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"toastmaster/directory"
	"toastmaster/directory/logins"
	"toastmaster/directory/password"
	"toastmaster/internal/anvil"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/wire"
	"toastmaster/mailstore"
)

// The errors that this package itself has to say.
var (
	ErrInsecure  = dsn.New(dsn.EncryptionNeeded, "Log-in is refused on a connection without TLS").WithCode(538)
	ErrMechanism = dsn.New(dsn.InvalidArguments, "No such authentication mechanism").WithCode(504)
	ErrTooMany   = dsn.New(dsn.PolicyLater, "Too many connections of this user from this address")
	ErrRevoked   = logins.ErrRevoked
	ErrNoTLS     = dsn.New(dsn.InvalidCommand, "TLS is not available")
)

// Gate is the way in to one service. Safe for concurrent use; its exported
// fields do not change once Connect was called.
type Gate struct {
	// Service is the name in the log: "imapd", "pop3d".
	Service string
	// Authenticate is (*password.Authenticator).Authenticate.
	Authenticate func(ctx context.Context, t password.Attempt) (directory.Mailbox, error)
	// Open is (*mailstore.Store).User.
	Open func(ctx context.Context, a mailstore.Account) (*mailstore.User, error)
	// TLS is for STARTTLS; nil offers none.
	TLS *tls.Config
	// SecureNetworks are peers whose connection counts as secure without TLS.
	// Loopback() is what Dovecot does; empty means TLS only.
	SecureNetworks []netip.Prefix
	// Plaintext allows log-in on any connection (Dovecot
	// auth_allow_cleartext). Never on the Internet.
	Plaintext bool
	// Timeout is from the connection to the log-in.
	Timeout time.Duration
	// StressTimeout takes its place, from now on, while the service has hardly
	// any places left. Zero changes nothing.
	StressTimeout time.Duration
	// HandshakeTimeout bounds STARTTLS.
	HandshakeTimeout time.Duration
	// MaxFailures is after how many failed attempts the session is Exhausted.
	// Zero means no limit.
	MaxFailures int
	// PerUser bounds the connections of one user from one address (Dovecot
	// mail_max_userip_connections), which Counter counts. Zero, or no Counter,
	// means no limit. Clients that it exempts are so here: a webmail host has
	// one address for everybody.
	PerUser int
	Counter *anvil.Counter
	// Watch ends sessions whose log-in is not good any more. nil ends none.
	Watch *logins.Watch
	Log   *msglog.Log
	// Pool has the blocks of the connections.
	Pool wire.Pool
}

// Loopback are the networks of the machine itself.
func Loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// Connect begins a session on c, which may be a *tls.Conn whose handshake is
// done. It logs a Connect event; Disconnect must follow. What is read before the
// log-in has until the end of Timeout and must be lines of text.
func (g *Gate) Connect(c net.Conn) *Session {
	s := &Session{
		ID: service.NewSessionID(), Client: service.ClientAddr(c), Wire: wire.NewConn(c, &g.Pool),
		gate: g, began: time.Now(),
	}
	var until time.Time
	if g.Timeout > 0 {
		until = s.began.Add(g.Timeout)
	}
	s.Wire.Limit(until, g.StressTimeout)
	s.Wire.In.Text = true
	_, s.tls = c.(*tls.Conn)
	g.Log.Event(msglog.Connect{Service: g.Service, Session: s.ID, Client: s.client(), TLS: s.tls})
	return s
}

// userAt is whose sessions of this service are counted together: those of a user
// from a client, an IPv6 client being its /64.
func (g *Gate) userAt(user string, client netip.Addr) anvil.Key {
	return anvil.Name(g.Service + " " + user).From(g.Counter.Client(client))
}
