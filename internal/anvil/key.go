package anvil

import (
	"crypto/sha256"
	"net/netip"
)

// Key is who is counted. It is comparable; the zero Key is nobody.
type Key struct {
	net  netip.Prefix
	name string
}

// The sizes of a client and of a network. A host has one IPv4 address or at
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
func (c *Counter) Client(a netip.Addr) Key { return c.prefix(a, clientBits4, clientBits6) }

// Client is the key of one client, exempt or not: for who decides alone about
// exceptions. It is nobody for the zero Addr, which is a unix socket.
func Client(a netip.Addr) Key { return prefix(a, clientBits4, clientBits6) }

// Network is the key of all clients in the /24 or /48 of a, nobody for an
// exempt client.
func (c *Counter) Network(a netip.Addr) Key { return c.prefix(a, networkBits4, networkBits6) }

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
	return Key{net: where.net, name: k.name}
}

// IsNetwork says that k is that of a network without a name.
func (k Key) IsNetwork() bool {
	a := k.net.Addr()
	return k.name == "" && (a.Is4() && k.net.Bits() == networkBits4 || a.Is6() && k.net.Bits() == networkBits6)
}

// IsZero says that k is nobody.
func (k Key) IsZero() bool { return k == Key{} }

func (c *Counter) prefix(a netip.Addr, bits4, bits6 int) Key {
	for _, n := range c.exempt {
		if n.Contains(a.Unmap().WithZone("")) {
			return Key{}
		}
	}
	return prefix(a, bits4, bits6)
}

func prefix(a netip.Addr, bits4, bits6 int) Key {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return Key{}
	}
	bits := bits4
	if a.Is6() {
		bits = bits6
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return Key{}
	}
	return Key{net: p}
}
