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
//	in relocated_maps             error 5.1.6 with the new address, hosted or not
//	rewrite.mydestination         local_transport, the domain
//	rewrite.virtual_alias_domains error 5.1.1: what is there has been expanded
//	rewrite.relay_domains         as anything else, with relay_transport for default_transport, whatever the sender
//	anything else                 the [[transport]] that lists the domain, its nexthop
//	                              or else the domain; without one default_transport, or the
//	                              sender's, its nexthop or else the sender's relayhost,
//	                              smtp.relayhost, the domain
//
// Over the way of a mailbox, and of anything else, goes what transport_maps has (transport(5)): a transport, a
// nexthop, or both. A table that cannot answer is a *dsn.Error 4.3.0.
//
// [Resolver.Class] is the class of a domain that is not in the directory, and whether somebody there has an address; smtpd asks
// it at RCPT. A domain in two classes has a line in the log.
//
// [Resolver.Refused] tells smtpd which of the rest would go to nobody, so that it is not
// taken: a transport of the agent error or retry, and who is in relocated_maps.
//
// An alias beside a mailbox is that mailbox: expansion is over. An alias alone
// names itself, or was made after the message was accepted and the mailbox is
// gone. Expanding it here would be the second place that expands, and waiting
// would change nothing, so the sender is told, as by Postfix.
//
// # Parameters
//
// The section [rewrite] but for how addresses are completed, local.recipient_maps, smtp.relayhost, main.hostname,
// and domains and nexthop of [[transport]], through [Options].
package rewrite
