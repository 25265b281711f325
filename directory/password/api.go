package password

import (
	"context"
	"crypto/rand"
	"net/netip"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/ttl"
)

// Attempt is one try to log in.
type Attempt struct {
	Service   string // "smtpd", "imapd", "pop3d", "admin"
	Session   string // id in the log
	Client    netip.Addr
	Mechanism string // "PLAIN", "LOGIN", "USER"
	Login     string
	// AuthzID is the authorization identity of SASL, "" or equal to Login.
	AuthzID  string
	Password string
}

// Event is the line in the log of an attempt that ended for this reason, "" for
// success.
func (t Attempt) Event(reason string) msglog.Login {
	e := msglog.Login{Service: t.Service, Session: t.Session, Login: clip(t.Login), Mechanism: t.Mechanism, Reason: reason}
	if t.Client.IsValid() {
		e.Client = t.Client.String()
	}
	return e
}

// Options are what an Authenticator is made of.
type Options struct {
	Directory *directory.Directory
	Params    configs.Auth
	// Trusted clients are not delayed: main.trusted_networks. With a Counter these are its
	// exempt ones.
	Trusted []netip.Prefix
	// Counter counts failures under the kinds Auth, AuthUser, AuthPair and
	// AuthBlocked, whose units and bounds are Count's. nil is a counter of its own.
	Counter *anvil.Counter
	Log     *msglog.Log
	Clock   clock.Clock
	// Rehash replaces the stored hash of a mailbox by a stronger one, if it is
	// still old. nil replaces nothing. An error is logged and changes nothing.
	Rehash func(ctx context.Context, box directory.Mailbox, old, new string) error
	// LastLogins tells what is kept of the latest log-ins of a mailbox, in any
	// order; those places are known to the account. It is asked once for each
	// account. nil knows nothing from before.
	LastLogins func(ctx context.Context, mailbox string) ([]LastLogin, error)
}

// Authenticator verifies passwords against a directory. Safe for concurrent
// use.
type Authenticator struct {
	o       Options
	hasher  *Hasher
	dummy   string
	slots   chan struct{}
	waiting chan struct{}
	// successes maps the keyed hash of name, password and stored hash to
	// nothing: what was right once is right while all three are the same.
	successes *ttl.Map[successKey, struct{}]
	// failures holds what was wrong lately, under the same kind of key.
	failures *ttl.Map[successKey, struct{}]
	macKey   [32]byte
	guard    *guard
	pace     pace
	// compute is Verify; a test counts its calls.
	compute func(hash, password string) (bool, error)
}

// New makes an Authenticator. It starts nothing and needs no Close.
func New(o Options) *Authenticator {
	if o.Counter == nil {
		count := anvil.Options{Exempt: o.Trusted, Clock: o.Clock}
		Count(&count, o.Params)
		o.Counter = anvil.New(count)
	}
	a := &Authenticator{
		o:         o,
		hasher:    NewHasher(o.Params),
		slots:     make(chan struct{}, o.Params.Verifications),
		waiting:   make(chan struct{}, o.Params.Verifications+o.Params.Waiting),
		successes: ttl.NewMap[successKey, struct{}](o.Params.CacheEntries, o.Clock),
		failures:  ttl.NewMap[successKey, struct{}](o.Params.FailureClients, o.Clock),
		guard:     newGuard(o.Params, o.Counter, o.Clock),
		compute:   Verify,
	}
	rand.Read(a.macKey[:])
	// What an unknown user is checked against, of the strength that a known
	// one would have. Its key is not the hash of anything.
	dummy := argon2Hash{id: true, argon2Params: a.hasher.full, salt: make([]byte, saltSize), key: make([]byte, keySize)}
	a.dummy = dummy.String()
	return a
}

// Authenticate checks an attempt, logs it as one msglog.Login event and
// returns the mailbox. Failures are *dsn.Error: 5.7.8 for a wrong login or
// password (the two are not told apart, in text or in time), 4.7.0 when the
// directory cannot answer or too many attempts wait. It may take
// auth.failure_wait and the time of the answer; see [guard].
//
// Attempts that were refused unseen are gathered: the first of a client has a
// line, then the second, the fourth, the eighth.
func (a *Authenticator) Authenticate(ctx context.Context, t Attempt) (directory.Mailbox, error) {
	v, box, reason, err := a.decide(ctx, t)
	defer v.leave()
	if reason == reasonUnavailable {
		// The event has no place for the cause, and an operator needs it.
		a.o.Log.Warn("log-in not decided", "service", t.Service, "session", t.Session, "cause", err)
	}
	a.log(t, v, reason)
	if err != nil {
		// The lanes are kept until then.
		a.delay(ctx, v.began)
	}
	return box, err
}

// log writes the event of an attempt, or counts it to those of its client.
func (a *Authenticator) log(t Attempt, v *visit, reason string) {
	e := t.Event(reason)
	if reason == reasonRate {
		e.Blocked = v.blocked()
	}
	if n := e.Blocked; n&(n-1) != 0 {
		a.o.Log.Count(e)
		return
	}
	a.o.Log.Event(e)
}

// ErrBlocked is the answer of Refused to a client that tries too much.
var ErrBlocked = dsn.New(dsn.AuthUnavailable, "Too many failed attempts, try again later")

// Refused is for a secret that cannot be guessed and was wrong: a token of the
// API. It counts as a failure of the client, is logged, and returns when the
// client may be answered, as late as that of a wrong password: nil, or
// ErrBlocked. Right tokens need not ask: they never wait.
func (a *Authenticator) Refused(ctx context.Context, t Attempt) error {
	v := a.guard.visit(t.Client, "")
	defer v.leave()
	reason, err := reasonMismatch, v.enter(ctx)
	if err != nil {
		reason, err = reasonRate, ErrBlocked
	} else {
		v.failed()
	}
	a.log(t, v, reason)
	a.delay(ctx, v.began)
	return err
}

// Recheck says whether the log-in that gave box would still succeed: nil; 5.7.8
// when the mailbox is gone, disabled, made anew or has another password; 4.7.0
// when the directory cannot answer. It logs nothing and delays nobody.
func (a *Authenticator) Recheck(ctx context.Context, box directory.Mailbox) error {
	acc, err := a.o.Directory.Account(ctx, box.Address.String())
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound:
		return dsn.Wrap(dsn.AuthFailed, "Authentication failed", err)
	case outcome != directory.Found:
		return dsn.Wrap(dsn.AuthUnavailable, "Temporary authentication failure", err)
	}
	now := acc.Mailbox
	if !now.Enabled || now.Credential != box.Credential || now.Home != box.Home {
		return dsn.New(dsn.AuthFailed, "Authentication failed")
	}
	return nil
}

// The reasons of msglog.Login.
const (
	reasonOK          = ""
	reasonMismatch    = "mismatch"
	reasonUnknown     = "unknown"
	reasonDisabled    = "disabled"
	reasonUnavailable = "unavailable"
	reasonRate        = "rate"
)

func failed(reason string) (directory.Mailbox, string, error) {
	return directory.Mailbox{}, reason, dsn.New(dsn.AuthFailed, "Authentication failed")
}

func later(reason string, cause error) (directory.Mailbox, string, error) {
	return directory.Mailbox{}, reason, dsn.Wrap(dsn.AuthUnavailable, "Temporary authentication failure", cause)
}

// clip keeps a hostile login name from filling the log.
func clip(s string) string {
	const most = 320
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// wait waits d, or less when ctx ends.
func wait(ctx context.Context, c clock.Clock, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
