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
var blocks = [...]block{
	{prefix("0.0.0.0/8"), Self}, {prefix("127.0.0.0/8"), Self}, {prefix("::/128"), Self}, {prefix("::1/128"), Self},
	{prefix("10.0.0.0/8"), Private}, {prefix("172.16.0.0/12"), Private}, {prefix("192.168.0.0/16"), Private},
	{prefix("100.64.0.0/10"), Private}, {prefix("192.0.0.0/24"), Private}, {prefix("198.18.0.0/15"), Private},
	{prefix("fc00::/7"), Private}, {prefix("64:ff9b:1::/48"), Private},
	{prefix("169.254.0.0/16"), Nowhere}, {prefix("224.0.0.0/4"), Nowhere}, {prefix("240.0.0.0/4"), Nowhere},
	{prefix("fe80::/10"), Nowhere}, {prefix("fec0::/10"), Nowhere}, {prefix("ff00::/8"), Nowhere}, {prefix("100::/64"), Nowhere},
	{prefix("2001::/32"), Nowhere}, // Teredo: a server is never behind it
}

// The networks of IPv6 that have IPv4 addresses inside: compatible, NAT64, translated (SIIT), 6to4.
var (
	compatible = prefix("::/96")
	nat64      = prefix("64:ff9b::/96")
	translated = prefix("::ffff:0:0:0/96")
	sixToFour  = prefix("2002::/16")
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// ReachOf says from where ip is reached.
func ReachOf(ip netip.Addr) Reach {
	ip = Plain(ip)
	for _, b := range blocks {
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
	case compatible.Contains(ip), nat64.Contains(ip), translated.Contains(ip):
		at = 12
	case sixToFour.Contains(ip):
		at = 2
	}
	if at < 0 {
		return ip
	}
	return netip.AddrFrom4([4]byte(b[at : at+4]))
}
