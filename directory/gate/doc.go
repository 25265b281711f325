// Package gate is the way in to every service that somebody logs in to: SMTP,
// IMAP, POP3 and the API. What is decided before it is known which mailbox it is
// about is decided here, once.
//
// # What it does
//
// A [Gate] belongs to one service and says who may try there. [Gate.Visit] makes
// the [Visitor] of a connection, which runs the log-ins of that connection:
//
//	try --> Refusal? --> Authenticate --> PerUser? --> admit --> in --> End
//	         |            |                |            |
//	         closed       wrong: 5.7.8     too many     the protocol cannot
//	         insecure     later: 4.7.0                  begin: its own answer
//	         exhausted
//
// Authenticate is directory/password: the directory, the delays for who guesses, the
// bound of the hashes that are computed at once, and the time of the answer. A
// refusal before it costs neither a question to the directory nor a hash, and
// nothing is counted as a guess, because no password was looked at.
//
// [Gate.Token] decides about the token of a request in the same way; the protocol has
// the token looked up.
//
// # What it does not do
//
// It reads and writes no line of a protocol. It opens no mail: the protocol's
// admit function does, between the right password and the log-in. The lines, TLS and time of a
// connection are mailstore/login's (IMAP, POP3), internal/smtpserver's and admin/api's.
//
// # Secure
//
// A connection is secure when it is encrypted, when it comes over a unix socket, or
// when its peer lies in Gate.SecureNetworks; the default of those is loopback,
// as Dovecot has it. On other connections no mechanism is offered and a log-in
// is refused before the password is looked at, unless Gate.Plaintext allows it.
//
// # The line in the log
//
// Each attempt is one msglog.Login event, whatever the service: service, session,
// client, login, method, and reason when it is refused:
//
//	mismatch     wrong password or token                    counted
//	unknown      no such user                               counted
//	disabled     the mailbox or its domain is disabled      counted
//	unavailable  the directory cannot answer                not counted
//	rate         too many guesses, or too many at once      not counted
//	insecure     on a connection that is not secure         not counted
//	closed       this service takes no log-in               not counted
//
// Not every attempt has one: the attempts of a client that are refused for their rate
// are gathered (see directory/password), and a token that is right has the line of its request.
//
// # Results
//
// Errors are *dsn.Error, in four kinds that a protocol tells apart by their status or value:
//
//	5.7.8                  wrong: user, password or token; never told apart
//	4.7.0                  later: the directory cannot answer, or too many attempts
//	5.7.11 [ErrInsecure]   not like this: encryption is needed;
//	5.5.4  [ErrMechanism]  no such mechanism, 5.5.1 [ErrClosed] no log-in here
//	4.7.1  [ErrTooMany]    too many connections of this user from this address
//
// After MaxFailures attempts of a connection that did not succeed, for whatever reason, [Visitor.Exhausted]
// is true; the protocol says goodbye and closes. That an attempt could not be decided counts there, for a
// client that repeats it has no other bound, and nowhere else.
package gate
