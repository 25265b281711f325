// Package smtpd receives mail by SMTP: the policy of a session on the engine
// of internal/smtpserver.
//
// # What it does
//
// [Daemon] makes one handler for each kind of port: [Daemon.MX] (25) takes mail
// for hosted domains from everybody and relays for trusted networks,
// [Daemon.Submission] (587) and [Daemon.Submissions] (465) take mail from users
// who logged in. What it accepts it gives to the envelope.Submitter; the 250
// follows when that says that the message is on disk.
//
// # Restrictions
//
// What is refused are the lists of mta/policy, for port 25 and for the ports of
// users; docs/restrictions.md has them. On port 25 those of client, HELO and sender are asked
// at RCPT (smtpd.delay_reject). With the lists that are the default a
// recipient is decided about at RCPT, where the directory is asked once:
//
//	hosted, a mailbox or an alias    250
//	hosted, aliases in a loop        554 5.4.6
//	hosted, aliases beyond limits    451 4.3.5; 452 4.5.3 beside the recipients so far
//	hosted, nobody                   550 5.1.1, also behind all targets of an alias
//	hosted, moved                    551 5.1.6 with the new address
//	hosted, disabled                 550 5.2.1
//	hosted, over quota               552 5.2.2, counting the SIZE that was announced, also behind
//	                                 all targets of an alias; 452 4.2.2 with qmgr.over_quota_temporary
//	directory unavailable            451 4.3.0
//	directory misconfigured          451 4.3.5
//	[literal] of this host           as main.hostname; 550 5.4.6 when that is not hosted
//	not hosted, a transport refuses  550 or 450 with its reason, for users and trusted networks
//	not hosted                       554 5.7.1, except for users and trusted networks
//
// At MAIL: 530 5.7.0 on a submission port before log-in, from trusted networks
// too; 553 5.7.1 for a user who sends from somebody else's address
// (smtpd.check_sender_login, on by default: a hoster answers for what leaves
// under its names. Postfix's default is off). Then, in no list, 452 4.3.1 when the message, by
// its SIZE, would leave less than queue.min_free on the queue's disk. An address without domain gets
// main.hostname.
//
// # Names of users
//
// A user writes as the own address, with an extension, in an alias domain too, and as
// an alias that leads to the user's mailbox. An alias beside somebody else's
// mailbox is that mailbox's. This holds for the envelope (smtpd.check_sender_login)
// and, whatever the sender of the envelope, for what the header shows as author
// (smtpd.check_header_from), which mta/cleanup looks at.
//
// A user sends smtpd.user_message_limit messages to smtpd.user_recipient_limit
// recipients an hour (450 4.7.1): asked at MAIL and RCPT, counted when the message is
// there.
//
// # Log-in
//
// Who may log in is directory/gate's, as for IMAP, POP3 and the API. On port 25 nobody may, unless
// smtpd.auth_on_listen is set.
//
// AUTH= at MAIL is believed of a trusted network, and of a user about an address of
// the user; else it counts as AUTH=<> (RFC 4954 section 5).
//
// When the log-in of a user is not good any more, because the mailbox is
// removed, disabled or has another password, the session ends with 421 4.7.0
// at once, and in any case before the next MAIL; see directory/logins.
//
// Mail for <postmaster>, for root of main.hostname, and for postmaster of main.hostname or of a hosted
// domain where nobody has that address, goes where smtpd.postmaster says, from
// everybody and to wherever it is (RFC 5321 section 4.5.1). Without that
// parameter <postmaster> is postmaster@main.hostname.
//
// At the end of the data the size is known, and mta/cleanup takes room in the
// mailboxes: 552 5.2.2 when there is none for anybody. When the quota cannot be
// asked, mail is taken: delivery asks again.
//
// # Rates of clients
//
// What a client does that is neither trusted nor in
// smtpd.client_event_limit_exceptions is counted by internal/anvil: connections
// ([Admission], before a session is made), commands (421 4.7.0), TLS sessions (421 and 454 4.7.0), messages,
// recipients and AUTH commands (450 4.7.1), each for the service of its port, and recipients that were refused for good, for all. Beyond
// smtpd.client_refused_recipient_rate_limit every recipient gets the same 450 and
// nobody is looked up, so that probing addresses ends. Refused recipients of
// users who logged in do not count.
//
// # Certificates of clients
//
// With Options.Clients a client is asked for a certificate, and takes part with any or none. What it is worth (tlsconf.Peer) is told to
// restrictions, policy services, filters, Received and the log; it is looked at when a handshake is over, and again when the
// authorities were read again. smtpd.tls_req_ccert ends the session with 421 4.7.1 at the first command after TLS.
//
// # Clients that speak for others
//
// A host in smtpd.authorized_xclient_hosts may say by XCLIENT who its client is: address, name, HELO, log-in. All that
// this page says of a client then holds for that one; the counts of connections are those of the
// host. One in smtpd.authorized_xforward_hosts may say by XFORWARD where a message comes from, for the log and for
// smtp.send_xforward_command. A log-in that is told needs a mailbox that is enabled: 535 5.7.8.
//
// # Names of clients
//
// The name in Received is the one of the client's address that has this
// address, else "unknown". It is asked for once, at the first MAIL, with
// smtpd.resolve_timeout as a limit; never for loopback and unix sockets. A
// client that only guesses passwords or scans ports costs no DNS.
//
// # Memory
//
// A message is received into a spool.Buffer straight from the engine's block.
//
// # Actions
//
// What restrictions want done to a message (mta/policy) is noted for the message, a HELO, or the session, and put
// into the envelope at the end of the data (actions.go): hold, filter, redirection, blind copies, fields on top. A reply
// 421 or 521 ends the session.
//
// # Filters
//
// With smtpd.proxy_filter a message goes to a filter (proxy.go, proxyconn.go) and not to the Submitter: MAIL and RCPT when
// they are taken here, the message when it is complete, and the filter's words are the client's reply. A filter that fails is 451
// 4.3.0. smtpd.content_filter is the route of a message in the queue, and smtpd.receive_override_options what is left out.
//
// # ETRN
//
// ETRN (etrn.go) has the mail of a domain tried that waits for it, where smtpd.etrn_restrictions let it and the domain
// is one of flush.fast_flush_domains (mta/flush): 250 when that is noted, 459 when the domain is none of them, 458 when it
// cannot be noted, 501 for what is no domain.
//
// # Parameters
//
// The section [smtpd], or a table [[listener]]; main.hostname, main.trusted_networks, main.soft_bounce.
//
// # Standards
//
// RFC 1985, 5321, 6409, 8314, and those of internal/smtpserver.
package smtpd
