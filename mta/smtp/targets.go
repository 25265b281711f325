package smtp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
)

// Resolver asks the name servers. *net.Resolver is one.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// NewResolver makes a Resolver that asks the given servers ("address:port") at
// random; with none, those of the system.
func NewResolver(servers []string) *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if len(servers) > 0 {
				address = servers[rand.IntN(len(servers))]
			}
			var d net.Dialer
			c, err := d.DialContext(ctx, network, address)
			if err == nil {
				// The Go resolver looks at the context's deadline only. The
				// context ends with the exchange, so nothing is left behind.
				context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
			}
			return c, err
		},
	}
}

// target is one address to connect to.
type target struct {
	// host is its name as the MX or the nexthop gives it; the address itself
	// for a literal.
	host string
	addr netip.AddrPort
}

// String is the relay of the log, "host[address]:port".
func (t target) String() string {
	return fmt.Sprintf("%s[%s]:%d", t.host, t.addr.Addr(), t.addr.Port())
}

// targets lists where to connect to for a nexthop, best first, at most
// smtp.address_limit.
func (a *Agent) targets(ctx context.Context, n configs.Nexthop) ([]target, *dsn.Error) {
	port := uint16(n.Port)
	if port == 0 {
		port = uint16(a.config.Port)
	}
	if ip, err := netip.ParseAddr(n.Host); err == nil {
		return []target{{n.Host, netip.AddrPortFrom(ip, port)}}, nil
	}
	hosts := []*net.MX{{Host: n.Host}}
	if !n.Direct {
		var err *dsn.Error
		if hosts, err = a.exchangers(ctx, n.Host); err != nil {
			return nil, err
		}
	}
	return a.addresses(ctx, n, hosts, port)
}

// exchangers are the MX hosts of a domain in order, itself when it has none.
func (a *Agent) exchangers(ctx context.Context, domain string) ([]*net.MX, *dsn.Error) {
	// The dot keeps the search list of resolv.conf out.
	found, err := a.resolver.LookupMX(ctx, domain+".")
	var trouble *net.DNSError
	switch {
	case len(found) > 0: // an error beside them is about other records
	case err == nil, errors.As(err, &trouble) && trouble.IsNotFound:
		return []*net.MX{{Host: domain}}, nil
	default:
		return nil, lookupError(domain, "MX", err)
	}
	hosts := make([]*net.MX, 0, len(found))
	for _, mx := range found {
		hosts = append(hosts, &net.MX{Host: strings.ToLower(strings.TrimSuffix(mx.Host, ".")), Pref: mx.Pref})
	}
	if len(hosts) == 1 && hosts[0].Host == "" {
		return nil, dsn.Newf(dsn.NullMX, "Domain %s does not accept mail (null MX)", domain)
	}
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	slices.SortStableFunc(hosts, func(x, y *net.MX) int { return int(x.Pref) - int(y.Pref) })
	return a.beforeUs(domain, hosts)
}

// beforeUs cuts off what is not better than this host's own name.
func (a *Agent) beforeUs(domain string, hosts []*net.MX) ([]*net.MX, *dsn.Error) {
	us := slices.IndexFunc(hosts, func(mx *net.MX) bool { return mx.Host == a.hostname })
	if us < 0 {
		return hosts, nil
	}
	best := slices.IndexFunc(hosts, func(mx *net.MX) bool { return mx.Pref == hosts[us].Pref })
	if best == 0 {
		return nil, loop(domain)
	}
	return hosts[:best], nil
}

func loop(domain string) *dsn.Error {
	return dsn.Newf(dsn.LoopDetected, "Mail for %s loops back to this host", domain)
}

// addresses looks up hosts until there are enough.
func (a *Agent) addresses(ctx context.Context, n configs.Nexthop, hosts []*net.MX, port uint16) ([]target, *dsn.Error) {
	var out []target
	var last *dsn.Error
	prefs := map[target]uint16{}
	for _, mx := range hosts {
		if mx.Host == "" || len(out) >= a.config.AddressLimit {
			continue
		}
		ips, err := a.resolver.LookupNetIP(ctx, a.network(), mx.Host+".")
		if len(ips) == 0 {
			if e := lookupError(mx.Host, "address", err); last == nil || e.Temporary() {
				last = e
			}
			continue
		}
		for i := range ips {
			ips[i] = ips[i].Unmap()
		}
		if !n.Direct && slices.ContainsFunc(ips, a.isOwn) {
			out = slices.DeleteFunc(out, func(t target) bool { return prefs[t] >= mx.Pref })
			if len(out) == 0 {
				return nil, loop(n.Host)
			}
			break
		}
		for _, ip := range interleave(ips) {
			t := target{mx.Host, netip.AddrPortFrom(ip, port)}
			prefs[t] = mx.Pref
			out = append(out, t)
		}
	}
	switch {
	case len(out) > 0:
		return out[:min(len(out), a.config.AddressLimit)], nil
	case last != nil:
		return nil, last
	}
	return nil, dsn.Newf(dsn.Unroutable, "No usable mail exchanger for %s", n.Host)
}

func (a *Agent) network() string {
	switch a.config.Protocols {
	case "ipv4":
		return "ip4"
	case "ipv6":
		return "ip6"
	}
	return "ip"
}

func (a *Agent) isOwn(ip netip.Addr) bool { return slices.Contains(a.own, ip) }

// interleave puts the families in turn, IPv6 first, so that address_limit
// never shuts one of them out; each family in random order.
func interleave(ips []netip.Addr) []netip.Addr {
	rand.Shuffle(len(ips), func(i, j int) { ips[i], ips[j] = ips[j], ips[i] })
	var v4, v6, out []netip.Addr
	for _, ip := range ips {
		if ip.Is4() {
			v4 = append(v4, ip)
		} else {
			v6 = append(v6, ip)
		}
	}
	for i := range max(len(v4), len(v6)) {
		if i < len(v6) {
			out = append(out, v6[i])
		}
		if i < len(v4) {
			out = append(out, v4[i])
		}
	}
	return out
}

// lookupError tells "does not exist" from every other trouble.
func lookupError(name, what string, err error) *dsn.Error {
	var trouble *net.DNSError
	if err == nil || errors.As(err, &trouble) && trouble.IsNotFound && !trouble.IsTemporary {
		return dsn.Wrap(dsn.Unroutable, "Host or domain "+name+" not found", err)
	}
	return dsn.Wrap(dsn.RoutingFailed, "Name service error for "+name+" ("+what+")", err)
}
