// Package dnstest is a name server for tests on a free port of 127.0.0.1, UDP
// and TCP, with zones that a test writes and changes, and with every kind of
// trouble a resolver can meet: no such name, no data, SERVFAIL, silence, and
// answers that do not fit into a datagram.
//
// go-mockdns has a server, too; it can neither be silent nor truncate.
package dnstest
