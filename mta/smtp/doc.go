// Package smtp is the delivery agents for other systems: an SMTP client with MX
// lookup, TLS by policy and a cache of connections, and an LMTP client for stores
// (Postfix smtp(8), which is its lmtp(8), too).
//
// # What it does
//
// [Agent.Deliver] takes the nexthop of a request: a domain, whose MX hosts are
// tried in order of preference and at random among equals, or "[host]:port". A
// domain without MX is its own (RFC 5321 section 5.1). A null MX refuses (RFC
// 7505). MX hosts from ourselves on, by name or address, are not tried (loop). Where a
// destination is not found or not reached, smtp.fallback_relay is tried, but not for
// domains that this host is a mail exchanger of.
//
// A host that cannot be reached, does not greet, or loses the connection before
// the final dot is followed by the next one, up to address_limit addresses and
// session_limit hosts that answered. Replies to MAIL, RCPT and DATA are final
// for this attempt: 4xx waits for the next one and does not wander to the next
// host (Postfix tries others; greylisting then meets each of them). A host
// that answers 452 to some recipients gets them again in the same session.
//
// Families take turns, or smtp.address_preference says which comes first; within address_limit
// neither shuts the other out (smtp.balance_inet_protocols).
//
// MAIL, RCPT and DATA travel together where the peer has PIPELINING. SIZE,
// 8BITMIME, SMTPUTF8, DSN, STARTTLS and AUTH are used where they are offered.
//
// 8-bit content becomes quoted-printable for a peer without 8BITMIME
// (internal/mime/downgrade), which SIZE knows of; smtp.disable_mime_output_conversion
// sends it as it is. What cannot be converted, above all what is in
// multipart/signed, goes back (5.6.3).
//
// Where the peer has CHUNKING, the content goes by BDAT, in chunks of at most 64 KiB; dots
// are not doubled then. smtp.discard_ehlo_keywords leaves it, or another extension, out.
//
// # LMTP
//
// With Options.LMTP it is the agent lmtp (RFC 2033): LHLO, a reply behind the final dot for
// each recipient, and the nexthops "unix:/socket", "inet:host:port", or a host, whose MX is not
// looked up; smtp.lmtp_tcp_port is the port of those that name none. A recipient whose reply
// was read has his fate; those behind a lost connection wait. It may connect to this host and to
// any network: the nexthop is the operator's word. BDAT is not used.
//
// A line of more than smtp.line_length_limit octets leaves in several.
//
// A host that answers before the end of a content is heard: a refusal is one, a success is none.
// Who has said anything without being asked gets no other message over that session.
//
// A session is kept for a moment after its message and used for the next one
// to the same nexthop. A CR without LF in the content leaves as a space
// (wire.NewRelayWriter), whatever way the message came.
//
// Each transport with this agent has an Agent of its own, with its own connections
// (docs/transports.md). EHLO says smtp.helo_name, or main.hostname; connections come from
// smtp.bind_address and bind_address6 where they are set.
//
// # TLS
//
// smtp.tls_level none never uses it. may uses it where it is offered, without
// asking for a certificate anybody signed. Where it is refused it goes on in clear, and
// where it is broken (no or a strange answer to STARTTLS, no handshake, no good answer to
// EHLO behind it) it connects again in clear, in the same attempt. encrypt sends nothing without it.
// fingerprint wants one of certain certificates or public keys; verify and secure one that an authority vouches
// for, with a name of smtp.tls_verify_cert_match or smtp.tls_secure_cert_match: the host's, which DNS gave, or the
// nexthop's. smtp.tls_policy_maps says for single nexthops which level it is, which names, fingerprints
// and versions. A table that cannot be asked, or has nonsense in it, defers (4.7.5): nothing leaves by another policy.
// smtp.tls_wrappermode begins with TLS, as on port 465.
// A level of a later day (dane) is a word of configs.ParseTLSLevel and a case of tlsPolicy.config.
//
// # Log-in
//
// smtp.password_file gives user and password for a nexthop, or, with
// smtp.sender_dependent_authentication, for a sender. They are sent by
// AUTH PLAIN or LOGIN (smtp.sasl_mechanism_filter), over TLS only. A refusal is temporary (4.7.8): a typo of
// the administrator must not return everybody's mail (smtp.sasl_auth_soft_bounce). smtp.sasl_auth_cache_time
// keeps us from trying it again and again. Who submitted a message
// (Envelope.Auth) goes along as AUTH= to hosts that offer AUTH, and AUTH=<> to those
// where we have logged in (RFC 4954 section 5).
//
// # Tables
//
// smtp.generic_maps (mta/addrmap) give sender, recipients and the addresses of the header other names, and smtp.header_checks and
// its like (mta/contentcheck) change fields and lines, of the copy that leaves: what is in the queue stays. Whether it needs SMTPUTF8 or is to be
// converted is decided behind that. A table without an answer, or with an action that is not for mail that leaves, lets it wait
// (4.3.0, 4.3.5). The agent lmtp has tables of its own.
//
// # What it does not do
//
// It does not convert addresses and headers that are not ASCII for a peer without
// SMTPUTF8 (5.6.7), nor raw 8-bit octets in headers, which go as they are.
// It does not wait for the answer to QUIT: all that matters was read before.
//
// # Results
//
//	2.x.x   what the peer said; Relayed when it has no DSN, else Transferred
//	x.y.z   what the peer said, or x.0.0 when it said no enhanced code
//	4.3.2   not reported: shutdown leaves the recipient in the queue
//	4.4.1   nobody answers            4.4.2  connection lost or timed out
//	4.4.3   name server trouble       5.4.4  no such host or domain, or none on the Internet
//	5.4.6   mail loops back here      5.1.10 null MX
//	4.5.0   the peer's reply is no SMTP
//	5.3.4   larger than the peer takes       5.6.3  8-bit content that cannot be converted
//	4.7.4   TLS wanted but not offered       4.7.5  TLS failed
//	4.7.8   log-in refused            4.7.0  log-in impossible
//	4.3.0   the message cannot be read, or a table has no answer
//	4.3.5   a table says what cannot be done
//
// A connection that is lost behind the final dot leaves open whether the peer
// has the message. It is tried again: twice is better than never.
//
// # Limits
//
// A reply has at most reply_size_limit octets and its time from the first
// octet to the last; a delivery has delivery_timeout in all. At shutdown a
// session ends at once, except behind the final dot, where it has five seconds
// to get its answer.
//
// # Standards
//
// RFC 5321, 2920 (pipelining), 1870 (SIZE), 6152 (8BITMIME), 6531 (SMTPUTF8),
// 3461 (DSN), 3207 (STARTTLS), 4954 (AUTH), 2034 (enhanced codes), 3030 (CHUNKING), 2033 (LMTP), 7505.
package smtp
