// Package smtpserver is the wire engine of SMTP and LMTP servers, under the
// contract of go-smtp: a [Backend] makes one session per connection, the
// engine speaks the protocol and calls the session's Mail, Rcpt and Data.
// mta/smtpd and mailstore/lmtpd are sessions on this engine.
//
// # What it does
//
// [Server] is a service.Handler. It knows the verbs of the table in verbs.go,
// one file per verb: HELO EHLO LHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY
// HELP STARTTLS AUTH. It announces PIPELINING, SIZE, 8BITMIME, SMTPUTF8,
// CHUNKING, ENHANCEDSTATUSCODES and DSN, and STARTTLS and AUTH where they may
// be used. It keeps order (503), bounds lines, errors, recipients and size,
// gives every command and message a time, and answers a pipelined group of
// commands with one write. It logs Connect, Disconnect and Reject events, of many
// Rejects in a session the first RejectLines and one line Rejects for the others.
//
// A client that is not trusted ([Conn.SetTrusted]) waits for ErrorSleep with every
// error from SoftErrors on, may not send before its time (ForbidEarly), and has
// less time and fewer errors under Stress.
//
// # What it does not do
//
// It decides about nobody: which sender, recipient, relay or login is allowed
// is the session's. It keeps no message.
//
// # Sessions
//
// A session is a smtp.Session of go-smtp, made at connect time; the error of
// NewSession is the greeting (554 or 421). Add-ons, looked for by type:
// smtp.AuthSession, smtp.LMTPSession and [HeloSession]. The reader that Data
// gets gives CR LF line ends, as go-smtp's does; [WriteLF] writes a message
// from it with LF line ends and without a second copy. Addresses are given
// quoted where they need it, "postmaster" without a domain as it came. A message
// that begins with the separator lines of an mbox file ("From ", ">From ") would
// lose its header with them: WriteLF makes them fields X-Mailbox-Line, as Postfix
// smtpd(8) does.
//
// Errors of a session: a *dsn.Error or *smtp.SMTPError becomes the reply,
// everything else 451 4.3.0. Data may return an error with Code 250: the
// message was accepted and this is the text ([Accepted]).
//
// # BDAT
//
// Data runs from the first chunk on. When it has read one chunk its reader
// acknowledges it and reads the next command itself, so a chunked message
// needs neither a pipe nor a second goroutine. After a failed chunk the
// transaction is over; chunks that were sent along are read and answered 503.
//
// # Results
//
// 421 4.4.2 when a command takes longer than Timeout, a message comes more slowly
// than MinRate, or nobody has logged in within LoginTimeout; 554 5.5.0 for what is
// sent before its time; 421 4.3.2 when the service
// drains (after the present command), 421 4.7.0 after MaxErrors errors,
// MaxJunk commands that lead nowhere, 1 MiB of one line, or [Conn.Revoke]; 452 4.5.3 beyond MaxRecipients; 552
// 5.3.4 beyond MaxMessageBytes; 550 5.5.2 for a bare LF or CR (see
// internal/wire); 500 5.5.2 for a line longer than 2,048 octets (12,288 in
// AUTH); 555 5.5.4 for an unknown parameter.
//
// # Standards
//
// RFC 5321, 2033 (LMTP), 1870, 2034, 2920, 3030, 3207, 3461, 4954, 6152, 6531.
package smtpserver
