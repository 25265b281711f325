// Package haproxy reads what a proxy says about a connection before the first octet of the client: the PROXY
// protocol, versions 1 and 2, of HAProxy.
//
// # What it does
//
// [Accept] reads the header from a connection that was just accepted, and returns a connection whose
// RemoteAddr and LocalAddr are those that the header tells. It takes no octet more from the
// socket than the header has, so that who looks at what waits there (postscreen) sees what the client has sent.
//
//	PROXY TCP4, TCP6; version 2, TCP over IPv4 or IPv6     the client and what it connected to
//	version 2, LOCAL                                       the proxy itself: it looks whether we are well
//	PROXY UNKNOWN; version 2, any other family             a client of which nothing is known (0.0.0.0)
//
// The fields behind the addresses (TLV) are passed over.
//
// # What it does not do
//
// It does not say who is a proxy: whoever may send a header may be anybody, and that is asked before. It
// takes no connection without a header.
//
// # Results
//
// An error is [ErrNoHeader] for what is none, or is one with a mistake, or that of the connection: the header did
// not come in time. Headers have 107 octets in version 1, as the specification bounds it, and [MaxHeader] in version 2.
//
// # Standards
//
// The PROXY protocol, versions 1 and 2 (doc/proxy-protocol.txt of HAProxy).
package haproxy
