// Package dns asks name servers: for addresses, mail exchangers, name servers,
// names of addresses, and texts.
//
// # What it does
//
// A [Resolver] asks the name servers of its [Options], or those of
// resolv.conf(5). There is a method for each type of record; an [Answer] has the
// records with their TTL. A name is absolute, with or without its last dot, and the
// search list is never used. Aliases (CNAME) are followed, over answers that are
// not complete, too.
//
// Who gets no record gets an [*Error], which is one of three kinds:
//
//	NoName    there is no such name (NXDOMAIN), or it cannot be one
//	NoRecord  the name has no such record
//	NoAnswer  nobody could say: SERVFAIL, REFUSED, silence, a broken reply
//
// The first two are facts, the last one is not: what depends on it is tried again, and
// nobody's mail is refused for good because of it. [OutcomeOf] tells them apart.
// A context that ends is NoAnswer, too.
//
// [Resolver.Host] and [Resolver.Names] look into hosts(5) first; the others
// know name servers only.
//
// # How it asks
//
// Each question goes out by UDP from a port of its own that the system chooses, with a
// random ID and EDNS with 1232 octets; what comes from elsewhere, with another ID or
// question, is ignored. A truncated answer is asked for by TCP. A server that does not
// know EDNS is asked without. The servers are asked in their order, beginning with the one that
// answered last, each for dns.timeout, in dns.attempts rounds, in all for
// dns.total_timeout. Those who ask the same at the same time share one question.
//
// # Memory
//
// Answers are kept for their TTL, at most a day; NoName and NoRecord for that of the SOA
// record that came with them, at most three hours (RFC 2308), and not without one. NoAnswer is not
// kept. dns.cache_limit bounds the number; what nobody asked for lately goes
// first. An answer that takes more than 8 KiB of memory is not kept.
//
// # Filters
//
// [Resolver.Filtered] leaves records out of answers, for those who ask by it; what is kept is the whole answer.
//
// # What it does not do
//
// It validates no signatures. [Answer.Authentic] is what the server says about
// that (the AD bit), and is worth as much as the server and the way to it.
//
// # Parameters
//
// The section [dns]; smtp.resolver.
//
// # Files
//
// /etc/resolv.conf (nameserver), /etc/hosts; both are read again when they change.
//
// # Standards
//
// RFC 1034, 1035, 2181, 2308, 3596, 5452, 6840 section 5.7, 6891.
package dns
