// Package smtpserver is the wire engine of SMTP and LMTP servers: a [Backend]
// makes one [Session] per connection, the engine speaks the protocol and calls the
// session's Mail, Rcpt and Data. mta/smtpd and mailstore/lmtpd are sessions on
// this engine.
//
// # What it does
//
// [Server] is a service.Handler. Its commands are the rows of Server.Verbs, one
// file per verb; the usual ones are HELO EHLO LHLO MAIL RCPT DATA BDAT RSET NOOP
// QUIT VRFY HELP STARTTLS AUTH. A row says in which states a command may run, what
// EHLO announces for it and what HELP says: PIPELINING, SIZE, 8BITMIME, SMTPUTF8,
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
// is the session's, and so is where a password may be shown ([Authenticator]).
// It keeps no message.
//
// # Sessions
//
// An address is parsed here and nowhere behind: a session gets addr.Address, and
// options in the types of internal/envelope. "postmaster" without a domain has
// none. ENVID and ORCPT are checked and stay as they were received; AUTH= is
// given on for the session to believe or not. Add-ons of a session, looked for by
// type: [Connector], [Greeter], [Watcher], [Preparer], [Stranger], [Authenticator], [Forwarder]. The reader that Data
// gets gives CR LF line ends; [WriteLF] writes a message
// from it with LF line ends and without a second copy. A message
// that begins with the separator lines of an mbox file ("From ", ">From ") would
// lose its header with them: WriteLF makes them fields X-Mailbox-Line, as Postfix
// smtpd(8) does.
//
// An error of a session is the reply. Data says with [Accepted] what the client
// hears of a message that was taken, under LMTP for each recipient.
//
// # XCLIENT and XFORWARD
//
// [ForwardVerbs] are rows for a server whose sessions are Forwarders: hosts that are trusted to speak in the
// place of another client. After XCLIENT the old session ends and a new one is made, whose [Conn.ClientAddr],
// [Conn.ClientPort], [Conn.Server] and [Conn.Helo] are those that were told; [Conn.Told] has the names and the log-in. TLS
// stays. What XFORWARD tells is in the next Mail, and is forgotten with the transaction.
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
// drains (after the present command, in a transaction after the message), 421 4.7.0 after MaxErrors errors,
// MaxJunk commands that lead nowhere, 1 MiB of one line, or [Conn.Revoke]; 452 4.5.3 beyond MaxRecipients; 552
// 5.3.4 beyond MaxMessageBytes; 550 5.5.2 for a bare LF or CR (see
// internal/wire); 500 5.5.2 for a line longer than 2,048 octets (12,288 in
// AUTH); 454 for a log-in that cannot be decided now; 555 5.5.4 for an unknown parameter.
//
// # Standards
//
// RFC 5321, 2033 (LMTP), 1870, 2034, 2920, 3030, 3207, 3461, 4954, 6152, 6531.
package smtpserver
