// Package rewrite decides where a recipient goes. It is the part of Postfix's
// trivial-rewrite(8) that resolves; addresses are rewritten by mta/cleanup.
//
// # What it does
//
// [Resolver.Resolve] maps a recipient, after alias expansion, to a transport
// and a nexthop:
//
//	hosted domain, mailbox        virtual, the domain
//	hosted domain, nobody         error 5.1.1
//	relocated                     error 5.1.6 with the new address
//	mailbox or domain disabled    error 5.2.1
//	hosted domain, only an alias  error 5.1.1 (see below)
//	this host's own name          error 5.1.1
//	a literal of this host        as main.hostname when that is hosted, see
//	                              directory/literal; else error 5.4.6
//	directory unavailable         a *dsn.Error 4.3.0, or 4.3.5 when misconfigured
//	anything else                 the [[transport]] that lists the domain, its nexthop
//	                              or else the domain; without one smtp, smtp.relayhost
//	                              or else the domain
//
// [Resolver.Refused] tells smtpd which of the rest would go to nobody, so that it is not
// taken: a transport of the agent error or retry.
//
// An alias beside a mailbox is that mailbox: expansion is over. An alias alone
// names itself, or was made after the message was accepted and the mailbox is
// gone. Expanding it here would be the second place that expands, and waiting
// would change nothing, so the sender is told, as by Postfix.
//
// # Parameters
//
// smtp.relayhost, main.hostname, and domains and nexthop of [[transport]], through
// [Options].
package rewrite
