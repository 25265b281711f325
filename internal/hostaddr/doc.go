// Package hostaddr says which IP addresses are this host's own, and which are no
// place for mail of the Internet.
//
// # What it does
//
// [Host.Has] knows the addresses of this host: loopback and unspecified ones,
// those of the interfaces, the broadcast addresses of their networks, and
// those that the operator named because they are reached through them from
// outside. [Host.Serves] says that a connection to an address and port would
// be one with ourselves. [Host.HasLiteral] is Has for the domain of a mail
// address.
//
// [ReachOf] tells apart what the Internet reaches, what is private, what is this
// host, and what is nobody's. An IPv4 address inside of an IPv6 one (mapped,
// compatible, translated, NAT64, 6to4) counts as the IPv4 address: a mail exchanger
// 64:ff9b::7f00:1 is loopback.
//
// # What it does not do
//
// It does not ask name servers. The interfaces are read again after half a
// minute; while they cannot be read the ones known before count.
//
// # Standards
//
// RFC 6890 (special-purpose addresses), 1918, 4193, 6598, 4291 (IPv4 inside of
// IPv6), 2765 (translated), 6052 and 8215 (NAT64), 3056 (6to4).
package hostaddr
