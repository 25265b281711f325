package service

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
)

// ClientAddr is the peer's IP address, the zero Addr for a unix socket. An
// IPv4 address is never in its IPv6 form, and a zone is cut off, so that
// prefixes match.
func ClientAddr(c net.Conn) netip.Addr {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return a.AddrPort().Addr().Unmap().WithZone("")
}

// UnknownClient stands for the address of a client of which a proxy did not say it. It lies in no network
// that somebody trusts, as the zero Addr of a unix socket would.
func UnknownClient() netip.Addr { return netip.IPv4Unspecified() }

// ClientText is a client in the log: its address, "local" for a unix socket, "unknown" for UnknownClient.
func ClientText(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "local"
	case a == UnknownClient():
		return "unknown"
	}
	return a.String()
}

// InNetworks says that a lies in one of the networks. The zero Addr and UnknownClient lie in
// none.
func InNetworks(networks []netip.Prefix, a netip.Addr) bool {
	if a == UnknownClient() {
		return false
	}
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

const idAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewSessionID makes the id of a session in the log: 12 letters and digits,
// unique in the instance's lifetime. It is random (71 bits) and no counter,
// because a counter starts again with the process while the log goes on.
func NewSessionID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	for i, c := range b {
		b[i] = idAlphabet[int(c)%len(idAlphabet)]
	}
	return string(b[:])
}

type idKey struct{}

// WithSessionID is a context for a session that has its id already, because somebody spoke with
// the client before.
func WithSessionID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, idKey{}, id)
}

// SessionID is the id that a context has, or a new one.
func SessionID(ctx context.Context) string {
	if id, ok := ctx.Value(idKey{}).(string); ok {
		return id
	}
	return NewSessionID()
}

// allows says whether a client is served.
func (l *Limits) allows(a netip.Addr) bool {
	return l.Allowed == nil || !a.IsValid() || InNetworks(l.Allowed, a)
}
