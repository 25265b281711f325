package anvil

import (
	"crypto/sha256"
	"net/netip"
	"slices"
)

// Key is who is counted. It is comparable; the zero Key is nobody.
type Key struct {
	net  netip.Prefix
	name string
	// network says that net is that of a network, which may be no larger than a client's.
	network bool
}

// The sizes of a client, when Options have no others, and of a network. A host has one IPv4 address or at
// least an IPv6 /64; a customer of a hoster has a few of a /24 or a /48.
const (
	clientBits4, clientBits6   = 32, 64
	networkBits4, networkBits6 = 24, 48
)

// maxName is the longest name that is kept as it is. A peer chooses names, so a
// longer one is kept by its hash. It is no parameter: the hash counts as well as the
// name.
const maxName = 64

// Client is the key of one client, nobody for an exempt one.
func (c *Counter) Client(a netip.Addr) Key {
	if c.exempts(a) {
		return Key{}
	}
	return c.AnyClient(a)
}

// AnyClient is the key of one client, exempt or not: for who decides alone about
// exceptions. It is nobody for the zero Addr, which is a unix socket.
func (c *Counter) AnyClient(a netip.Addr) Key { return Key{net: prefix(a, c.bits4, c.bits6)} }

// Network is the key of all clients in the /24 or /48 of a, or in what is larger and counts as one client; nobody for an
// exempt client.
func (c *Counter) Network(a netip.Addr) Key {
	p := prefix(a, min(c.bits4, networkBits4), min(c.bits6, networkBits6))
	if !p.IsValid() || c.exempts(a) {
		return Key{}
	}
	return Key{net: p, network: true}
}

// Name is the key of a user or anything else that has a name; the caller folds
// it. The empty name is nobody.
func Name(s string) Key {
	if len(s) > maxName {
		sum := sha256.Sum256([]byte(s))
		s = string(sum[:])
	}
	return Key{name: s}
}

// From is the key of k's name as it is used from another key's client or
// network. It is nobody if one of the two is.
func (k Key) From(where Key) Key {
	if k.IsZero() || where.IsZero() {
		return Key{}
	}
	return Key{net: where.net, name: k.name, network: where.network}
}

// IsNetwork says that k is that of a network without a name.
func (k Key) IsNetwork() bool { return k.network && k.name == "" }

// IsZero says that k is nobody.
func (k Key) IsZero() bool { return k == Key{} }

// where is the address, or the network in CIDR form, of a client.
func (k Key) where() string {
	if k.net.IsSingleIP() {
		return k.net.Addr().String()
	}
	return k.net.String()
}

func (c *Counter) exempts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(*c.exempt.Load(), func(n netip.Prefix) bool { return n.Contains(a) })
}

// prefix is the zero Prefix for what is no address.
func prefix(a netip.Addr, bits4, bits6 int) netip.Prefix {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return netip.Prefix{}
	}
	bits := bits4
	if a.Is6() {
		bits = bits6
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
