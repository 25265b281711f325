// Package login is the part before authentication, shared by IMAP, POP3 and
// ManageSieve: what Dovecot's imap-login and pop3-login do, without a process
// of its own.
//
// # What it does
//
// A [Gate] belongs to one service. [Gate.Connect] makes the [Session] of a
// connection: its id in the log, whether it counts as secure, STARTTLS, the
// mechanisms to offer, authentication, the opening of the mail, limits, and
// the Connect and Disconnect events.
//
// # What it does not do
//
// It reads and writes no line of a protocol, and it verifies no password:
// that is directory/password, which also logs each attempt.
//
// # Secure
//
// A connection is secure when it has TLS, when it comes over a unix socket, or
// when its peer lies in Gate.SecureNetworks. The default of those is loopback,
// as Dovecot has it. On other connections no mechanism is offered and log-in
// is refused before the password is looked at, unless Gate.Plaintext allows it.
//
// # Log-ins that are not good any more
//
// A [Watch] ends the sessions of a mailbox that is removed or disabled, alone
// or with its domain, that is made anew, or whose password changes
// (directory.Mailbox.Credential). It hears of changes made by this process at
// once and of others after directory.cache_ttl. [Session.Check] before every
// command finds the same, so that no command begins with an old log-in after
// the change was confirmed, and [Session.OnRevoke] ends the wait of a session
// that is quiet. While the directory cannot answer, sessions go on, but after a
// change each command is refused (4.7.0) until it can. A stronger hash of the
// same password changes nothing.
//
// # Results
//
// Errors are *dsn.Error:
//
//	5.7.11 [ErrInsecure]    log-in on a connection that is not secure
//	5.5.4  [ErrMechanism]   no such mechanism
//	5.7.8                   wrong login or password (directory/password)
//	4.7.0                   the directory cannot answer (directory/password)
//	4.7.1  [ErrTooMany]     too many connections of this user from this address
//	4.3.0                   the mail cannot be opened
//	5.2.1  [ErrRevoked]     the log-in is not good any more
//	5.5.1  [ErrNoTLS]       no STARTTLS here
//
// After MaxFailures failed attempts [Session.Exhausted] is true; the protocol
// says goodbye and closes.
package login
