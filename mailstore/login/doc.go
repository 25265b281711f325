// Package login is the connection before and around the log-in, shared by IMAP, POP3 and
// ManageSieve: what Dovecot's imap-login and pop3-login do, without a process
// of its own.
//
// # What it does
//
// A [Gate] belongs to one service. [Gate.Connect] makes the [Session] of a
// connection: its id in the log, its wire.Conn with the time for log-in,
// STARTTLS, the opening of the mail, and the Connect and Disconnect events.
// [Session.Begin] ties it to the drain and the stress of its service.
//
// # What it does not do
//
// It reads and writes no line of a protocol. Who may try to log in, and what becomes of
// that, is directory/gate's, the same as for SMTP and the API.
//
// # Log-ins that are not good any more
//
// Check before every command ends a session whose mailbox is removed or disabled, alone or with
// its domain, is made anew, or gets another password; one that waits is cut, and
// its context ends (see directory/logins).
// While the directory cannot answer, sessions go on, but after a change each
// command is refused (4.7.0) until it can.
//
// # Results
//
// Errors are *dsn.Error: those of directory/gate, and
//
//	4.3.0                   the mail cannot be opened
//	5.2.1  [ErrRevoked]     the log-in is not good any more
//	5.5.1  [ErrNoTLS]       no STARTTLS here
package login
