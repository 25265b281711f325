package login

import (
	"context"
	"crypto/tls"
	"net/netip"
	"time"

	"toastmaster/directory"
	"toastmaster/directory/logins"
	"toastmaster/directory/password"
	"toastmaster/internal/anvil"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/sasl"
	"toastmaster/internal/service"
	"toastmaster/internal/wire"
	"toastmaster/mailstore"
)

// Session is one connection, from Connect to Disconnect. It belongs to one
// goroutine.
type Session struct {
	// ID is the session's id in the log.
	ID string
	// Client is the peer, the zero Addr for a unix socket.
	Client netip.Addr
	// Wire is the connection, limited to the time for log-in until that.
	Wire *wire.Conn

	gate     *Gate
	began    time.Time
	tls      bool
	failures int
	user     *mailstore.User
	account  mailstore.Account
	loggedIn bool
	counted  bool
	key      anvil.Key

	// attempt is the log-in, or the last attempt at one; nil before.
	attempt *logins.Login
	cancel  context.CancelFunc
}

// Begin ties the connection to its service and returns the context of the
// session: the drain interrupts a wait for a command, stress shortens the time
// for log-in, and when the log-in is not good any more the context ends and the
// connection is cut. It is called once, before anything is read.
func (s *Session) Begin(ctx context.Context) context.Context {
	ctx, s.cancel = context.WithCancel(ctx)
	service.OnDrain(ctx, s.Wire.Interrupt)
	service.OnStress(ctx, s.Wire.Stress)
	return ctx
}

// revoke ends the session from another goroutine: what it waits for, and what it
// does. It may be called more than once.
func (s *Session) revoke() {
	if s.cancel != nil {
		s.cancel()
	}
	s.Wire.Cut()
}

// Check says whether the session may go on; see logins.Login.
func (s *Session) Check(ctx context.Context) error {
	if !s.loggedIn {
		return nil
	}
	return s.attempt.Check(ctx)
}

// Revoked says that the log-in is known not to be good any more.
func (s *Session) Revoked() bool { return s.loggedIn && s.attempt.Revoked() }

// TLS says that the connection is encrypted.
func (s *Session) TLS() bool { return s.tls }

// Secure says that a password may cross this connection.
func (s *Session) Secure() bool {
	return s.tls || s.gate.Plaintext || !s.Client.IsValid() || service.InNetworks(s.gate.SecureNetworks, s.Client)
}

// CanStartTLS says whether to offer STARTTLS.
func (s *Session) CanStartTLS() bool { return s.gate.TLS != nil && !s.tls && !s.loggedIn }

// StartTLS makes the handshake, after the protocol has written its go-ahead,
// which it sends. What was read ahead is thrown away: it came in clear, from
// anybody (RFC 2595 section 2.4, RFC 3501 section 6.2.1, and the STARTTLS
// injection of CVE-2011-0411). After an error the connection is of no more use.
func (s *Session) StartTLS() error {
	if !s.CanStartTLS() {
		return ErrNoTLS
	}
	if err := s.Wire.Out.Flush(); err != nil {
		return err
	}
	t := tls.Server(s.Wire.NetConn(), s.gate.TLS)
	if d := s.gate.HandshakeTimeout; d > 0 {
		_ = t.SetDeadline(time.Now().Add(d))
	}
	if err := t.Handshake(); err != nil {
		return dsn.Wrap(dsn.BadConnection, "TLS handshake failed", err)
	}
	_ = t.SetDeadline(time.Time{})
	s.tls = true
	s.Wire.Upgrade(t)
	return nil
}

// Mechanisms are the SASL mechanisms to offer now; none while the connection
// is not secure, because all of them show the password.
func (s *Session) Mechanisms() []string {
	if !s.Secure() || s.loggedIn {
		return nil
	}
	return sasl.Names()
}

// Exhausted says that no further attempt to log in is allowed.
func (s *Session) Exhausted() bool {
	return s.gate.MaxFailures > 0 && s.failures >= s.gate.MaxFailures
}

// SASL authenticates by a mechanism; see sasl.Exchange for initial and ask.
func (s *Session) SASL(ctx context.Context, mechanism string, initial []byte, ask func(challenge []byte) ([]byte, error)) error {
	if err := s.mayLogIn(mechanism); err != nil {
		return err
	}
	m, ok := sasl.New(ctx, mechanism, s.verify)
	if !ok {
		return ErrMechanism
	}
	return sasl.Exchange(m, initial, ask)
}

// Login authenticates by a command of the protocol with login and password in
// it, and opens the mail. mechanism is its name in the log: "LOGIN", "USER".
func (s *Session) Login(ctx context.Context, mechanism, login, secret string) error {
	if err := s.mayLogIn(mechanism); err != nil {
		return err
	}
	return s.verify(ctx, mechanism, "", login, secret)
}

func (s *Session) mayLogIn(mechanism string) error {
	switch {
	case s.loggedIn:
		return dsn.New(dsn.InvalidCommand, "Already logged in")
	case s.Exhausted():
		return dsn.New(dsn.AuthFailed, "Too many failed attempts")
	case !s.Secure():
		s.failures++
		s.gate.Log.Event(msglog.Login{
			Service: s.gate.Service, Session: s.ID, Client: s.client(), Mechanism: mechanism, Reason: "insecure",
		})
		return ErrInsecure
	}
	return nil
}

// verify is the sasl.Verify of the session.
func (s *Session) verify(ctx context.Context, mechanism, authzid, authcid, secret string) error {
	s.attempt = s.gate.Watch.Begin(s.revoke)
	box, err := s.gate.Authenticate(ctx, password.Attempt{
		Service: s.gate.Service, Session: s.ID, Client: s.Client, Mechanism: mechanism,
		Login: authcid, AuthzID: authzid, Password: secret,
	})
	if err != nil {
		s.failures++
		return dsn.From(err)
	}
	return s.enter(ctx, box)
}

// enter opens the mail of somebody who is who they say.
func (s *Session) enter(ctx context.Context, box directory.Mailbox) error {
	name := box.Address.String()
	if s.gate.PerUser > 0 && s.gate.Counter != nil {
		k := s.gate.userAt(name, s.Client)
		if !s.gate.Counter.Enter(anvil.Session, k, s.gate.PerUser) {
			s.gate.Log.Event(msglog.Reject{
				Service: s.gate.Service, Session: s.ID, Client: s.client(), To: name, Stage: "login", Err: ErrTooMany,
			})
			return ErrTooMany
		}
		s.counted, s.key = true, k
	}
	account := mailstore.AccountOf(box)
	user, err := s.gate.Open(ctx, account)
	if err != nil {
		s.release()
		e := dsn.Wrap(dsn.MailSystem, "Mailbox is not available, try again later", err)
		s.gate.Log.Event(msglog.Reject{
			Service: s.gate.Service, Session: s.ID, Client: s.client(), To: name, Stage: "login", Err: e,
		})
		return e
	}
	s.user, s.account, s.loggedIn = user, account, true
	s.Wire.Unlimit()
	s.Wire.In.Text = false
	s.attempt.Of(logins.Session{Service: s.gate.Service, ID: s.ID, Client: s.client(), TLS: s.tls}).Confirm(box)
	return nil
}

// LoggedIn says that User is there.
func (s *Session) LoggedIn() bool { return s.loggedIn }

// User is the open mail, nil before log-in. Disconnect closes it.
func (s *Session) User() *mailstore.User { return s.user }

// Account is who logged in.
func (s *Session) Account() mailstore.Account { return s.account }

// Disconnect ends the session and its context: it closes the User (the views on
// it must be closed before) and logs why, with the protocol's counts
// ("retr=2 dele=1"). The caller of ServeConn closes the connection.
func (s *Session) Disconnect(reason, stats string) {
	if s.cancel != nil {
		defer s.cancel()
	}
	s.Wire.Release()
	if s.loggedIn {
		s.attempt.End()
	}
	if s.user != nil {
		if err := s.user.Close(); err != nil {
			s.gate.Log.Warn("closing the mailbox failed", "service", s.gate.Service, "session", s.ID, "cause", err.Error())
		}
		s.user = nil
	}
	s.release()
	s.gate.Log.Event(msglog.Disconnect{
		Service: s.gate.Service, Session: s.ID, Client: s.client(),
		Duration: time.Since(s.began), Reason: reason, Stats: stats,
	})
}

func (s *Session) release() {
	if s.counted {
		s.gate.Counter.Leave(anvil.Session, s.key)
		s.counted = false
	}
}

func (s *Session) client() string { return service.ClientText(s.Client) }
