package hostaddr

import (
	"net/netip"
)

// Reach says from where an address is reached.
type Reach uint8

// The reaches.
const (
	// Global is an address on the Internet.
	Global Reach = iota
	// Private is one of a network that is not the Internet's.
	Private
	// Nowhere is one at which there is no single host: multicast, broadcast,
	// link-local, reserved.
	Nowhere
	// Self is this host on every host: loopback and unspecified.
	Self
)

// String is the word for error texts.
func (r Reach) String() string {
	switch r {
	case Private:
		return "private"
	case Nowhere:
		return "not of a host"
	case Self:
		return "of this host"
	}
	return "global"
}

// block is a network and its reach.
type block struct {
	net   netip.Prefix
	reach Reach
}

// blocks is the table of what is not global (RFC 6890). Documentation networks
// are not in it: nobody answers there, and nobody is harmed.
func blocks() []block {
	p := netip.MustParsePrefix
	return []block{
		{p("0.0.0.0/8"), Self}, {p("127.0.0.0/8"), Self}, {p("::/128"), Self}, {p("::1/128"), Self},
		{p("10.0.0.0/8"), Private}, {p("172.16.0.0/12"), Private}, {p("192.168.0.0/16"), Private},
		{p("100.64.0.0/10"), Private}, {p("192.0.0.0/24"), Private}, {p("198.18.0.0/15"), Private},
		{p("fc00::/7"), Private}, {p("64:ff9b:1::/48"), Private},
		{p("169.254.0.0/16"), Nowhere}, {p("224.0.0.0/4"), Nowhere}, {p("240.0.0.0/4"), Nowhere},
		{p("fe80::/10"), Nowhere}, {p("fec0::/10"), Nowhere}, {p("ff00::/8"), Nowhere}, {p("100::/64"), Nowhere},
		{p("2001::/32"), Nowhere}, // Teredo: a server is never behind it
	}
}

// ReachOf says from where ip is reached.
func ReachOf(ip netip.Addr) Reach {
	ip = Plain(ip)
	for _, b := range blocks() {
		if b.net.Contains(ip) {
			return b.reach
		}
	}
	return Global
}

// Plain is ip without its zone, and the IPv4 address inside of it if there is
// one.
func Plain(ip netip.Addr) netip.Addr {
	ip = ip.WithZone("").Unmap()
	if !ip.Is6() {
		return ip
	}
	b := ip.As16()
	at := -1
	switch {
	case ip.IsUnspecified() || ip.IsLoopback():
	case netip.MustParsePrefix("::/96").Contains(ip), netip.MustParsePrefix("64:ff9b::/96").Contains(ip),
		netip.MustParsePrefix("::ffff:0:0:0/96").Contains(ip): // compatible, NAT64, translated (SIIT)
		at = 12
	case netip.MustParsePrefix("2002::/16").Contains(ip):
		at = 2
	}
	if at < 0 {
		return ip
	}
	return netip.AddrFrom4([4]byte(b[at : at+4]))
}
