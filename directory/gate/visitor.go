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
	"toastmaster/internal/sasl"
	"toastmaster/internal/service"
)

// Client is who connects.
type Client struct {
	// Session is the connection's id in the log.
	Session string
	// Addr is the peer, the zero Addr for a unix socket.
	Addr netip.Addr
	// Encrypted says whether the connection is encrypted now.
	Encrypted func() bool
	// Admit is what the protocol does for somebody who is who they say, before that
	// is told: it opens the mail. Its error is the answer of the log-in, which has not
	// happened then.
	Admit func(ctx context.Context, box directory.Mailbox) *dsn.Error
	// Revoke ends the session from another goroutine when its log-in is not good
	// any more. It may be called more than once and must not wait.
	Revoke func()
}

// Visitor is one connection with its attempts to log in. It belongs to one
// goroutine. End must follow.
type Visitor struct {
	gate     *Gate
	client   Client
	failures int
	in       bool
	box      directory.Mailbox
	method   string

	counted bool
	key     anvil.Key
	// attempt is the log-in, or the last attempt at one; nil before.
	attempt *logins.Login
}

// Visit begins the attempts of a connection.
func (g *Gate) Visit(c Client) *Visitor { return &Visitor{gate: g, client: c} }

// Secure says that a password may cross this connection.
func (v *Visitor) Secure() bool { return v.gate.Secure(v.client.Addr, v.client.Encrypted()) }

// Mechanisms are the SASL mechanisms to offer now; none while the connection
// is not secure, because all of them show the password.
func (v *Visitor) Mechanisms() []string {
	if v.gate.Closed || v.in || !v.Secure() {
		return nil
	}
	return sasl.Names()
}

// Exhausted says that no further attempt to log in is allowed.
func (v *Visitor) Exhausted() bool {
	return v.gate.MaxFailures > 0 && v.failures >= v.gate.MaxFailures
}

// Refusal is what stands against every attempt now, whoever it is: nil, ErrClosed,
// ErrInsecure, that somebody is in, or that there were too many attempts. It counts
// and logs nothing.
func (v *Visitor) Refusal() *dsn.Error {
	switch {
	case v.in:
		return errAlready
	case v.gate.Closed:
		return ErrClosed
	case v.Exhausted():
		return errExhausted
	case !v.Secure():
		return ErrInsecure
	}
	return nil
}

// May is Refusal for an attempt that is being made: a refusal is one of the failures
// of the connection and has its line in the log.
func (v *Visitor) May(mechanism string) *dsn.Error {
	e := v.Refusal()
	reason := ""
	switch e {
	case ErrClosed:
		reason = reasonClosed
	case ErrInsecure:
		reason = reasonInsecure
	default:
		return e
	}
	v.failures++
	v.gate.Log.Event(v.tries(mechanism).Event(reason))
	return e
}

// tries is an attempt of this connection.
func (v *Visitor) tries(mechanism string) password.Attempt {
	return password.Attempt{Service: v.gate.Service, Session: v.client.Session, Client: v.client.Addr, Mechanism: mechanism}
}

// SASL logs in by a mechanism; see sasl.Exchange for initial and ask. The error is a
// *dsn.Error or ask's.
func (v *Visitor) SASL(ctx context.Context, mechanism string, initial []byte, ask func(challenge []byte) ([]byte, error)) error {
	if e := v.May(mechanism); e != nil {
		return e
	}
	m, ok := sasl.New(ctx, mechanism, v.verify)
	if !ok {
		return ErrMechanism
	}
	return sasl.Exchange(m, initial, ask)
}

// Login logs in by a command of the protocol with login and password in it.
// mechanism is its name in the log: "LOGIN", "USER". The error is a *dsn.Error.
func (v *Visitor) Login(ctx context.Context, mechanism, login, secret string) error {
	if e := v.May(mechanism); e != nil {
		return e
	}
	return v.verify(ctx, mechanism, "", login, secret)
}

// Vouched lets in whom a host vouches for that is trusted with it: no password is looked at. The mailbox is there and
// enabled.
func (v *Visitor) Vouched(ctx context.Context, mechanism, login string, box directory.Mailbox) *dsn.Error {
	v.attempt = v.gate.Watch.Begin(v.client.Revoke)
	if e := v.enter(ctx, mechanism, box); e != nil {
		v.leave()
		return e
	}
	t := v.tries(mechanism)
	t.Login = login
	v.gate.Log.Event(t.Event(""))
	return nil
}

// verify is the sasl.Verify of the visitor.
func (v *Visitor) verify(ctx context.Context, mechanism, authzid, login, secret string) error {
	v.attempt = v.gate.Watch.Begin(v.client.Revoke)
	t := v.tries(mechanism)
	t.Login, t.AuthzID, t.Password = login, authzid, secret
	box, err := v.gate.Authenticate(ctx, t)
	if err != nil {
		v.failures++
		return dsn.From(err)
	}
	if e := v.enter(ctx, mechanism, box); e != nil {
		v.leave()
		v.gate.Log.Event(msglog.Reject{
			Service: v.gate.Service, Session: v.client.Session, Client: service.ClientText(v.client.Addr),
			To: box.Address.String(), Stage: "login", Err: e,
		})
		return e
	}
	return nil
}

// enter lets somebody in who is who they say.
func (v *Visitor) enter(ctx context.Context, mechanism string, box directory.Mailbox) *dsn.Error {
	if v.gate.PerUser > 0 && v.gate.Counter != nil {
		v.key = v.gate.userAt(box.Address.String(), v.client.Addr)
		if !v.gate.Counter.Enter(anvil.Session, v.key, v.gate.PerUser) {
			return ErrTooMany
		}
		v.counted = true
	}
	if v.client.Admit != nil {
		if e := v.client.Admit(ctx, box); e != nil {
			return e
		}
	}
	v.in, v.box, v.method = true, box, mechanism
	from := ""
	if v.client.Addr.IsValid() {
		from = v.client.Addr.String()
	}
	v.attempt.Of(logins.Session{Service: v.gate.Service, ID: v.client.Session, Client: from, TLS: v.client.Encrypted()}).Confirm(box)
	return nil
}

// userAt is whose sessions of this service are counted together: those of a user
// from a client, an IPv6 client being its /64.
func (g *Gate) userAt(user string, client netip.Addr) anvil.Key {
	return anvil.Name(g.Service + " " + user).From(g.Counter.Client(client))
}

// LoggedIn says that somebody has logged in.
func (v *Visitor) LoggedIn() bool { return v.in }

// Mailbox is who is in; Mechanism is how they came.
func (v *Visitor) Mailbox() directory.Mailbox { return v.box }

// Mechanism is the name of the way in which somebody logged in, "" before.
func (v *Visitor) Mechanism() string { return v.method }

// Check says whether the session may go on: before every command; see
// logins.Login.
func (v *Visitor) Check(ctx context.Context) error {
	if !v.in {
		return nil
	}
	return v.attempt.Check(ctx)
}

// Revoked says that the log-in is known not to be good any more.
func (v *Visitor) Revoked() bool { return v.in && v.attempt.Revoked() }

// End ends the log-in. It may be called more than once.
func (v *Visitor) End() {
	if v.in {
		v.attempt.End()
	}
	v.leave()
}

func (v *Visitor) leave() {
	if v.counted {
		v.gate.Counter.Leave(anvil.Session, v.key)
		v.counted = false
	}
}
