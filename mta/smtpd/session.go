package smtpd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"

	"toastmaster/directory"
	"toastmaster/directory/gate"
	"toastmaster/internal/addr"
	"toastmaster/internal/anvil"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/tlsconf"
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
	// login runs the log-ins.
	login *gate.Visitor

	// client is whose rates are counted on this kind of port, host on all; nobody for one that is exempt.
	client, host anvil.Key
	// cert is the certificate of the client's TLS, which is certOf.
	cert   tlsconf.Peer
	certOf *tls.ConnectionState

	env *envelope.Envelope
	// milters are the filters that hear of the session.
	milters filtering
	// proxy is the filter before the queue.
	proxy proxying
	// only is the recipient that was accepted last.
	only written
	// extra is how many recipients more the aliases among env's stand for.
	extra int
}

// written is an address as the client wrote it, and with this host's domain where it had none.
type written struct{ given, qualified addr.Address }

var (
	_ smtpserver.Authenticator = (*session)(nil)
	_ smtpserver.Connector     = (*session)(nil)
	_ smtpserver.Greeter       = (*session)(nil)
	_ smtpserver.Preparer      = (*session)(nil)
	_ smtpserver.Forwarder     = (*session)(nil)
	_ smtpserver.Stranger      = (*session)(nil)
	_ smtpserver.Securer       = (*session)(nil)
)

func (d *Daemon) newSession(k kind) func(c *smtpserver.Conn) smtpserver.Session {
	return func(c *smtpserver.Conn) smtpserver.Session {
		s := &session{d: d, c: c, kind: k, lists: d.lists[k], known: policy.Transaction{Session: c.ID(), Client: c.ClientAddr(), TLS: c.TLS, Pipelined: c.SentEarly}}
		s.known.Conn = policy.Session{
			Mechanism: func() string { return s.login.Mechanism() }, Stressed: c.Stressed, ClientPort: c.ClientPort(), Server: c.Server(),
		}
		s.known.Cert = s.certificate
		s.impersonate(c.Told())
		s.login = d.gates[k].Visit(gate.Client{
			Session: c.ID(), Addr: c.ClientAddr(), Encrypted: func() bool { return c.TLS() != nil }, Admit: s.admit, Revoke: s.revoke,
		})
		c.WatchEarly()
		// What Data receives it hands over or closes itself.
		c.OnEnd(s.end)
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

// service is whose client is counted.
func (s *session) service() string {
	return cmp.Or(s.d.o.Service, [...]string{"smtpd", "submission", "submissions"}[s.kind])
}

// end is the log-out, and the end of the filters' session.
func (s *session) end() {
	s.login.End()
	s.milters.close()
	s.proxy.reset()
}

// Reset forgets the transaction.
func (s *session) Reset() {
	s.milters.reset()
	s.proxy.reset()
	s.env, s.extra = nil, 0
	s.known.Reset()
}

// authenticated says that a user has logged in.
func (s *session) authenticated() bool { return s.known.Authenticated() }

// Mechanisms is what this port offers now.
func (s *session) Mechanisms() []string { return s.login.Mechanisms() }

// MayAuth is the gate's, for a client that has not tried too often.
func (s *session) MayAuth(mechanism string) *dsn.Error {
	if e := s.mayAuth(); e != nil {
		return e
	}
	return s.login.May(mechanism)
}

// Authenticate is the gate's.
func (s *session) Authenticate(ctx context.Context, mechanism string, initial []byte, ask func(challenge []byte) ([]byte, error)) error {
	return s.login.SASL(ctx, mechanism, initial, ask)
}

// admit shows the restrictions who logged in.
func (s *session) admit(_ context.Context, box directory.Mailbox) *dsn.Error {
	s.known.User = box
	return nil
}

// revoke ends the session, from any goroutine.
func (s *session) revoke() {
	s.c.Revoke(dsn.New(dsn.AuthUnavailable, gate.ErrRevoked.Text).WithCode(421))
}

// stillGood comes before a transaction of a user. What is wrong may be that it
// cannot be known now.
func (s *session) stillGood(ctx context.Context) *dsn.Error {
	err := s.login.Check(ctx)
	if errors.Is(err, gate.ErrRevoked) {
		s.revoke()
	}
	return dsn.From(err)
}

// origin is where the message enters.
func (s *session) origin(ctx context.Context) envelope.Origin {
	o := envelope.Origin{
		Protocol: s.c.Protocol(), ClientName: s.d.env.Peer(ctx, &s.known).Name, Helo: s.c.Helo(), Session: s.c.ID(), ClientPort: s.known.Conn.ClientPort,
	}
	if s.d.o.Params.TLSReceivedHeader {
		o.TLS, o.Cert = trace.TLS(s.c.TLS()), s.told()
	}
	if a := s.c.ClientAddr(); a.IsValid() {
		o.ClientAddr = service.ClientText(a)
	}
	if s.authenticated() {
		o.Login, o.Mechanism = s.known.User.Address.String(), s.login.Mechanism()
	}
	return o
}
