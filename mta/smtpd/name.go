package smtpd

import (
	"context"
	"net/netip"
	"slices"

	"toastmaster/internal/dns"
)

// unknown is the name of a client without one.
const unknown = "unknown"

// clientName is a name of the address that has this address (RFC 5321 section
// 4.1.4 leaves what to do with it to the operator; here it is for Received).
func (d *Daemon) clientName(ctx context.Context, ip netip.Addr) string {
	switch {
	case !ip.IsValid() || ip.IsLoopback():
		return "localhost"
	case d.o.DNS == nil || d.o.Params.ResolveTimeout == 0:
		return unknown
	}
	ctx, cancel := context.WithTimeout(ctx, d.o.Params.ResolveTimeout)
	defer cancel()
	names, err := d.o.DNS.Names(ctx, ip)
	if err != nil {
		return unknown
	}
	const most = 3 // an address with a hundred names is somebody's joke
	for _, name := range names.Records[:min(len(names.Records), most)] {
		found, err := d.o.DNS.Host(ctx, dns.Any, name)
		if err == nil && slices.Contains(found.Records, ip.Unmap()) {
			return name
		}
	}
	return unknown
}
