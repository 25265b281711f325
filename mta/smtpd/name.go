package smtpd

import (
	"context"
	"net/netip"
	"slices"
	"strings"
)

// Resolver is the part of net.Resolver that finds a client's name.
type Resolver interface {
	LookupAddr(ctx context.Context, ip string) ([]string, error)
	LookupHost(ctx context.Context, name string) ([]string, error)
}

// unknown is the name of a client without one.
const unknown = "unknown"

// clientName is a name of the address that has this address (RFC 5321 section
// 4.1.4 leaves what to do with it to the operator; here it is for Received).
func (d *Daemon) clientName(ctx context.Context, ip netip.Addr) string {
	switch {
	case !ip.IsValid() || ip.IsLoopback():
		return "localhost"
	case d.o.Resolver == nil || d.o.Params.ResolveTimeout == 0:
		return unknown
	}
	ctx, cancel := context.WithTimeout(ctx, d.o.Params.ResolveTimeout)
	defer cancel()
	names, err := d.o.Resolver.LookupAddr(ctx, ip.String())
	if err != nil {
		return unknown
	}
	const most = 3 // an address with a hundred names is somebody's joke
	for _, name := range names[:min(len(names), most)] {
		name = strings.TrimSuffix(name, ".")
		addresses, err := d.o.Resolver.LookupHost(ctx, name)
		if err == nil && slices.ContainsFunc(addresses, func(s string) bool {
			a, err := netip.ParseAddr(s)
			return err == nil && a.Unmap() == ip
		}) {
			return name
		}
	}
	return unknown
}
