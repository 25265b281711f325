// Package login is the part before authentication, shared by IMAP, POP3 and
// ManageSieve: what Dovecot's imap-login and pop3-login do, without a process
// of its own.
//
// # What it does
//
// A [Gate] belongs to one service. [Gate.Connect] makes the [Session] of a
// connection: its id in the log, its wire.Conn with the time for log-in, whether
// it counts as secure, STARTTLS, the mechanisms to offer, authentication, the
// opening of the mail, limits, and the Connect and Disconnect events.
// [Session.Begin] ties it to the drain and the stress of its service.
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
// [Session.Check] before every command ends a session whose mailbox is removed or disabled, alone or with
// its domain, is made anew, or gets another password; one that waits is cut, and
// its context ends (see directory/logins).
// While the directory cannot answer, sessions go on, but after a change each
// command is refused (4.7.0) until it can.
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
