// Package lmtpd receives mail by LMTP for the mailboxes of this store: the
// policy of a session on the engine of internal/smtpserver. Any MTA can be the
// client: Postfix's lmtp(8), or our own on another node.
//
// # What it does
//
// RCPT is answered by the directory. After the content each recipient gets an
// answer of its own (RFC 2033 section 4.2), and a 250 stands for a message that
// is on disk (mailstore.Delivery.Durable). Recipients are delivered to at the
// same time, lmtpd.concurrency of them, so that they share a sync. Each copy
// gets Return-Path, Delivered-To and a Received that names its recipient. A
// Return-Path that the client sent is removed: there is one, and the final
// delivery makes it (RFC 5321 section 4.4).
//
// Recipients that are one address of one mailbox, written twice, in another case
// or in an alias domain, share one copy and get an answer each, as SMTP has it
// (mta/cleanup). Another extension is another recipient.
//
// A recipient who is in a Delivered-To of the message has had it before: that is
// a loop, as for Postfix virtual(8). A Delivered-To above all Received fields
// does not count: it is the client's own for this delivery (Postfix lmtp(8) with
// flags=D), while mail that was forwarded has a Received on top.
//
// # What it does not do
//
// It does not relay or expand aliases; what is done with the message of a recipient is
// decided by mailstore/plan, today INBOX, whatever the extension of the address. It asks for no log-in: who is served is a matter of
// lmtpd.trusted_networks, which internal/service looks at before the greeting.
// A client that lost the answer and tries again makes a second copy; LMTP has
// no message identity that could tell. It does not offer DSN, because it sends
// no reports: the client does, as RFC 3461 section 5.2.2 wants it to.
//
// While nearly all of lmtpd.max_connections are taken, clients have less time
// (lmtpd.stress_timeout). Those of a unix socket are exempt: the host's own mail
// system gets in and stays when another hangs.
//
// # Results
//
// At RCPT:
//
//	a mailbox                  250
//	nobody, or not hosted      550 5.1.1
//	moved                      551 5.1.6 with the new address
//	disabled                   550 5.2.1
//	an alias without mailbox   550 5.1.1: the client should have expanded it
//	directory unavailable      451 4.3.0, misconfigured 451 4.3.5
//
// At MAIL: 452 4.3.1 less than store.min_free would be left, 552 5.3.4 too large.
//
// After the content: 250, 550 5.7.1 rejected by the plan, 451 4.3.5 a plan that cannot be carried out, 554 5.4.6 delivered before or more Received fields than
// lmtpd.hop_count_limit, 552 5.2.2 over quota, 452 4.3.1 disk full, 451 4.3.0.
//
// # Parameters
//
// The section [lmtpd]; main.hostname, store.min_free.
//
// # Standards
//
// RFC 2033, and those of internal/smtpserver.
package lmtpd
