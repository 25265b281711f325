// Package dnstest is a name server for tests on a free port of 127.0.0.1, UDP
// and TCP, with zones that a test writes and changes, and with every kind of
// trouble a resolver can meet: no such name, no data, SERVFAIL and other codes, silence,
// answers that do not fit into a datagram, servers that know no EDNS, and answers of others.
//
// Names are keys of a map. [Reverse] is the one of an address, below in-addr.arpa or ip6.arpa, and
// [Listed] adds an address to the zone of a DNS list. Answers have no TTL, so that nobody
// keeps them, unless the test gives them one.
//
// go-mockdns has a server, too; it can neither be silent nor truncate.
package dnstest
