package gate

import (
	"context"
	"net/netip"

	"toastmaster/directory"
	"toastmaster/directory/logins"
	"toastmaster/directory/password"
	"toastmaster/internal/anvil"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// The errors that this package itself has to say.
var (
	ErrInsecure  = dsn.New(dsn.EncryptionNeeded, "Log-in is refused on a connection without TLS").WithCode(538)
	ErrMechanism = dsn.New(dsn.InvalidArguments, "No such authentication mechanism").WithCode(504)
	ErrClosed    = dsn.New(dsn.InvalidCommand, "AUTH is not offered").WithCode(502)
	ErrTooMany   = dsn.New(dsn.PolicyLater, "Too many connections of this user from this address")
	ErrBlocked   = password.ErrBlocked
	ErrRevoked   = logins.ErrRevoked

	errAlready   = dsn.New(dsn.InvalidCommand, "Already logged in")
	errExhausted = dsn.New(dsn.AuthFailed, "Too many failed attempts")
)

// The reasons of msglog.Login that are found before the password is looked at.
const (
	reasonInsecure    = "insecure"
	reasonClosed      = "closed"
	reasonUnavailable = "unavailable"
)

// Gate is the way in to one service. Safe for concurrent use; its fields do not
// change once Visit or Token was called.
type Gate struct {
	// Service is the name in the log: "imapd", "pop3d", "smtpd", "admin".
	Service string
	// Authenticate is (*password.Authenticator).Authenticate.
	Authenticate func(ctx context.Context, t password.Attempt) (directory.Mailbox, error)
	// Refused is (*password.Authenticator).Refused, for Token only: it counts a wrong
	// one and returns when it may be answered, with an error for a client that
	// tries too much. nil counts and delays none.
	Refused func(ctx context.Context, t password.Attempt) error
	// Closed takes no log-in: port 25 without smtpd.auth_on_listen.
	Closed bool
	// SecureNetworks are peers whose connection counts as secure without TLS.
	// Loopback() is what Dovecot does; empty means TLS only.
	SecureNetworks []netip.Prefix
	// Plaintext allows log-in on any connection (Dovecot
	// auth_allow_cleartext). Never on the Internet.
	Plaintext bool
	// MaxFailures is after how many refused attempts a connection is exhausted.
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
}

// Loopback are the networks of the machine itself.
func Loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// Secure says that a secret may cross a connection with this client, which is the zero
// Addr for a unix socket.
func (g *Gate) Secure(client netip.Addr, encrypted bool) bool {
	return encrypted || g.Plaintext || !client.IsValid() || service.InNetworks(g.SecureNetworks, client)
}

// Bearer is a request with a token in it.
type Bearer struct {
	Session string // id in the log, "" for none
	Client  netip.Addr
	// Encrypted says that the request came by TLS.
	Encrypted bool
}

func (g *Gate) bearer(b Bearer) password.Attempt {
	return password.Attempt{Service: g.Service, Session: b.Session, Client: b.Client, Mechanism: "Bearer"}
}

// Token decides about a token, which check looks up. check's error is nil for one
// that is right, temporary when that cannot be known now, which is not held against
// the client, and permanent for a wrong one: that is counted and answered as late as a
// wrong password. The result is nil, check's error, ErrBlocked for a
// client that tries too much, or ErrInsecure; then check was not called.
//
// A right token never waits and has no line: that of the request names who sent it.
func (g *Gate) Token(ctx context.Context, b Bearer, check func(context.Context) *dsn.Error) *dsn.Error {
	if !g.Secure(b.Client, b.Encrypted) {
		g.Log.Event(g.bearer(b).Event(reasonInsecure))
		return ErrInsecure
	}
	e := check(ctx)
	switch {
	case e == nil:
		return nil
	case e.Temporary():
		g.Log.Warn("log-in not decided", "service", g.Service, "session", b.Session, "cause", e)
		g.Log.Event(g.bearer(b).Event(reasonUnavailable))
		return e
	case g.Refused == nil:
		return e
	}
	if g.Refused(ctx, g.bearer(b)) != nil {
		return ErrBlocked
	}
	return e
}
