// Package postscreen keeps programs that are no mail servers away from smtpd: it
// tests a client before smtpd hears of it, remembers who passed, and hands the
// connection on (Postfix postscreen(8)).
//
// # What it does
//
// [Screen] is a service.Handler in front of another one. For each connection:
//
//	access list      permit: handed on, no test. reject: postscreen.denylist_action
//	cache            every test passed not long ago: handed on
//	interface        one that lets nobody pass: tested, refused with 450, not remembered
//	before greeting  "220-" goes out, then greet_wait passes. Who sends something fails
//	                 (pregreet); DNS lists are asked meanwhile, and their weights added
//	after greeting   only where one of these tests is enabled: a small SMTP server of its own
//	                 (dummy engine) looks for commands in a hurry, for what is no SMTP, for lines
//	                 that end with LF. Who comes as far as RCPT has passed, hears 450 and comes again
//
// A failure is ignored (the test is made again the next time; after the greeting, when another one
// is due), enforced (the dummy engine refuses each recipient, so that the log says who wrote to whom,
// and nothing of the session is remembered) or ends the connection. The wait ends early when lists
// vouch for a client (dnsbl_allowlist_threshold), or when it has talked and they have answered.
//
// What a client has sent is not taken from the connection before smtpd has it (recv(2) with
// MSG_PEEK), so handing on changes nothing for either side. A client that talks too early and is let pass
// is not refused for that by smtpd either (smtpserver.ForgiveEarly).
//
// # What it does not do
//
// It counts no connections but those that it tests (pre_queue_limit, near which they are hurried): the limits of the server in whose
// place it stands hold (smtpd.max_connections, the rates of smtpd). A client without an address (a
// unix socket), and a connection that is no socket, is not tested. It is not for a port where users log in:
// mail programs do not come again. It speaks no PROXY protocol: who does stands before it, and gives it a
// net.Conn with the client's address that is a syscall.Conn. It is no process of its own, and a client that
// waits is two goroutines, one of which only listens.
//
// # Results
//
//	450 4.3.2  to RCPT, of a client that has passed the tests after the greeting
//	550 5.3.2  to RCPT, with enforce: the access list rejects the client
//	550 5.5.1  to RCPT, with enforce: protocol error
//	550 5.7.1  to RCPT, with enforce: a DNS list is against the client; it is named
//	521        the same, with drop, at once; 521 5.7.0 for what is no SMTP
//	421 4.3.2  pre_queue_limit, or the service stops
//	421 4.7.0  command_count_limit, a line that is too long
//	421 4.4.2  command_time_limit
//
// Each finding is a msglog.Screened, in the log with the words of Postfix.
//
// # Files and locks
//
// The cache of passed tests is an internal/diskcache: postscreen_cache in main.data_dir, for each
// address until when each test counts. A full disk makes it forget at the next start and costs no
// mail. The answers of lists about one client have a lock, and so has the room (who is
// tested now); nobody who holds one waits. Inside of the room's is only that of a connection's pressure.
//
// # Parameters
//
// The section [postscreen].
//
// # Standards
//
// RFC 5321 section 4.3.1 (the client waits for the greeting), 2920, 5782 (DNS lists).
package postscreen
