package smtpd

import (
	"context"
	"errors"

	gosasl "github.com/emersion/go-sasl"

	"toastmaster/directory/logins"
	"toastmaster/directory/password"
	"toastmaster/internal/anvil"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/sasl"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/trace"
	"toastmaster/internal/wire"
	"toastmaster/mta/policy"
)

// session is one client's connection.
type session struct {
	d     *Daemon
	c     *smtpserver.Conn
	kind  kind
	lists *policy.Lists
	// known is what restrictions see: the client, who logged in, the transaction.
	known policy.Transaction
	// login is the log-in, or the last attempt at one; nil before.
	login *logins.Login
	// mechanism is that of the log-in that succeeded.
	mechanism string
	// name is the client's verified name, "" before it was asked for.
	name string

	// client is whose rates are counted, nobody for one that is exempt.
	client anvil.Key

	env *envelope.Envelope
	// extra is how many recipients more the aliases among env's stand for.
	extra int
}

var (
	_ smtpserver.Authenticator = (*session)(nil)
	_ smtpserver.Connector     = (*session)(nil)
	_ smtpserver.Greeter       = (*session)(nil)
	_ smtpserver.Preparer      = (*session)(nil)
)

func (d *Daemon) newSession(k kind) func(c *smtpserver.Conn) smtpserver.Session {
	return func(c *smtpserver.Conn) smtpserver.Session {
		s := &session{d: d, c: c, kind: k, lists: d.lists[k], known: policy.Transaction{Session: c.ID(), Client: c.ClientAddr()}}
		c.OnEnd(s.logout)
		// A unix socket has no address; whoever may open it is trusted.
		s.known.Trusted = !c.ClientAddr().IsValid() || service.InNetworks(d.o.Trusted, c.ClientAddr())
		c.SetBare(d.bare)
		if s.known.Trusted {
			c.SetBare(wire.Allow)
			c.SetTrusted()
		}
		s.limitRates()
		return s
	}
}

// Reset forgets the transaction.
func (s *session) Reset() {
	s.env, s.extra = nil, 0
	s.known.Reset()
}

// logout ends the log-in. What Data receives it hands over or closes itself.
func (s *session) logout() {
	if s.login != nil {
		s.login.End()
	}
}

// authenticated says that a user has logged in.
func (s *session) authenticated() bool { return s.known.Authenticated() }

// Mechanisms is what this port offers.
func (s *session) Mechanisms() []string {
	if s.kind == mx && !s.d.o.Params.AuthOnListen {
		return nil
	}
	return sasl.Names()
}

// Auth begins a log-in.
func (s *session) Auth(ctx context.Context, mechanism string) (gosasl.Server, *dsn.Error) {
	m, ok := sasl.New(ctx, mechanism, s.verify)
	if !ok {
		return nil, dsn.New(dsn.InvalidArguments, "Authentication mechanism not supported").WithCode(504)
	}
	return m, nil
}

func (s *session) verify(ctx context.Context, mechanism, authzid, login, secret string) error {
	s.login = s.d.o.Logins.Begin(s.revoke)
	box, err := s.d.o.Authenticate(ctx, password.Attempt{
		Service: "smtpd", Session: s.c.ID(), Client: s.c.ClientAddr(),
		Mechanism: mechanism, Login: login, AuthzID: authzid, Password: secret,
	})
	if err != nil {
		return err
	}
	s.known.User, s.mechanism = box, mechanism
	client := ""
	if a := s.c.ClientAddr(); a.IsValid() {
		client = a.String()
	}
	s.login.Of(logins.Session{Service: "smtpd", ID: s.c.ID(), Client: client, TLS: s.c.TLS() != nil}).Confirm(box)
	return nil
}

// revoke ends the session, from any goroutine.
func (s *session) revoke() {
	s.c.Revoke(dsn.New(dsn.AuthUnavailable, logins.ErrRevoked.Text).WithCode(421))
}

// stillGood comes before a transaction of a user. What is wrong may be that it
// cannot be known now.
func (s *session) stillGood(ctx context.Context) *dsn.Error {
	err := s.login.Check(ctx)
	if errors.Is(err, logins.ErrRevoked) {
		s.revoke()
	}
	return dsn.From(err)
}

// origin is where the message enters.
func (s *session) origin() envelope.Origin {
	o := envelope.Origin{
		Protocol: s.c.Protocol(), ClientName: s.name, Helo: s.c.Helo(), Session: s.c.ID(), TLS: trace.TLS(s.c.TLS()),
	}
	if a := s.c.ClientAddr(); a.IsValid() {
		o.ClientAddr = a.String()
	}
	if s.authenticated() {
		o.Login, o.Mechanism = s.known.User.Address.String(), s.mechanism
	}
	return o
}
