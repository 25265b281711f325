package password

import (
	"context"
	"errors"
	"net/netip"

	"toastmaster/directory"
)

// This file is the contract that smtpd, imapd, pop3d and the admin API use.

var errSkeleton = errors.New("password: not written yet")

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

// Authenticator verifies passwords against a directory. Safe for concurrent
// use.
type Authenticator struct{}

// Authenticate checks an attempt, logs it as one msglog.Login event and
// returns the mailbox. Failures are *dsn.Error: 5.7.8 for a wrong login or
// password (the two are not told apart, in text or in time), 4.7.0 when the
// directory cannot answer. It may delay the answer for a client with failures
// behind it, unless that client is in a trusted network.
func (a *Authenticator) Authenticate(ctx context.Context, t Attempt) (directory.Mailbox, error) {
	return directory.Mailbox{}, errSkeleton
}
