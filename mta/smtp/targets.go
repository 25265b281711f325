package smtp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"toastmaster/configs"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/hostaddr"
)

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
		t := target{n.Host, netip.AddrPortFrom(ip, port)}
		if err := a.unfit(n, t); err != nil {
			return nil, err
		}
		return []target{t}, nil
	}
	hosts := []dns.MX{{Host: n.Host}}
	if !n.Direct {
		var err *dsn.Error
		if hosts, err = a.exchangers(ctx, n.Host); err != nil {
			return nil, err
		}
	}
	return a.addresses(ctx, n, hosts, port)
}

// exchangers are the MX hosts of a domain in order, itself when it has none.
func (a *Agent) exchangers(ctx context.Context, domain string) ([]dns.MX, *dsn.Error) {
	found, err := a.dns.MX(ctx, domain)
	switch dns.OutcomeOf(err) {
	case dns.NoName, dns.NoRecord:
		return []dns.MX{{Host: domain}}, nil
	case dns.NoAnswer:
		return nil, lookupError(domain, "MX", err)
	}
	hosts := found.Records
	if len(hosts) == 1 && hosts[0].Host == "" {
		return nil, dsn.Newf(dsn.NullMX, "Domain %s does not accept mail (null MX)", domain)
	}
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	slices.SortStableFunc(hosts, func(x, y dns.MX) int { return int(x.Preference) - int(y.Preference) })
	return a.beforeUs(domain, hosts)
}

// beforeUs cuts off what is not better than this host's own name.
func (a *Agent) beforeUs(domain string, hosts []dns.MX) ([]dns.MX, *dsn.Error) {
	us := slices.IndexFunc(hosts, func(mx dns.MX) bool { return mx.Host == a.hostname })
	if us < 0 {
		return hosts, nil
	}
	best := slices.IndexFunc(hosts, func(mx dns.MX) bool { return mx.Preference == hosts[us].Preference })
	if best == 0 {
		return nil, loop(domain)
	}
	return hosts[:best], nil
}

func loop(domain string) *dsn.Error {
	return dsn.Newf(dsn.LoopDetected, "Mail for %s loops back to this host", domain)
}

// unfit says why there is no connecting to t for the nexthop n: it is ourselves,
// or in a network that is not the Internet's. What a recipient's domain leads to
// is chosen by whoever writes its DNS records, or by the sender who writes a
// literal, so it is looked at closely; smtp.relayhost is the operator's word,
// unless it is one of our own listeners.
func (a *Agent) unfit(n configs.Nexthop, t target) *dsn.Error {
	ip := hostaddr.Plain(t.addr.Addr())
	reach := hostaddr.ReachOf(ip)
	switch {
	case a.host.Serves(t.addr):
		return loop(n.Host)
	case n == a.relay:
		return nil
	case a.host.Proxied(ip):
		return loop(n.Host)
	case reach == hostaddr.Global, slices.ContainsFunc(a.private, func(p netip.Prefix) bool { return p.Contains(ip) }):
		return nil
	case reach == hostaddr.Self && t.addr.Port() != 25 && !a.host.Listens(t.addr.Port()):
		return nil // smtp.port is another on purpose: what is there is no MX of ours
	case reach == hostaddr.Self:
		return loop(n.Host)
	}
	return dsn.Wrap(dsn.Unroutable, fmt.Sprintf("Mail for %s would go to an address that the Internet does not reach: %s", n.Host, t.addr.Addr()),
		fmt.Errorf("%s is %s; smtp.private_networks says which are allowed", t, reach))
}

// addresses looks up hosts until there are enough.
func (a *Agent) addresses(ctx context.Context, n configs.Nexthop, hosts []dns.MX, port uint16) ([]target, *dsn.Error) {
	f := finding{agent: a, nexthop: n, prefs: map[target]uint16{}}
	for _, mx := range hosts {
		if mx.Host == "" || len(f.out) >= a.config.AddressLimit {
			continue
		}
		found, err := a.dns.Host(ctx, a.family(), mx.Host)
		if err != nil {
			f.fail(lookupError(mx.Host, "address", err))
			continue
		}
		if f.add(mx, interleave(found.Records), port) {
			break
		}
	}
	switch {
	case len(f.out) > 0:
		return f.out[:min(len(f.out), a.config.AddressLimit)], nil
	case f.last != nil:
		return nil, f.last
	}
	return nil, dsn.Newf(dsn.Unroutable, "No usable mail exchanger for %s", n.Host)
}

// finding is the search for targets.
type finding struct {
	agent   *Agent
	nexthop configs.Nexthop
	out     []target
	prefs   map[target]uint16
	last    *dsn.Error // why there may be none; what passes with time goes first
}

func (f *finding) fail(e *dsn.Error) {
	if f.last == nil || e.Temporary() {
		f.last = e
	}
}

// add takes the addresses of an exchanger. ours: it is this host, so that only
// those that are better than it remain (RFC 5321 section 5.1).
func (f *finding) add(mx dns.MX, ips []netip.Addr, port uint16) (ours bool) {
	var fit []target
	for _, ip := range ips {
		t := target{mx.Host, netip.AddrPortFrom(ip, port)}
		err := f.agent.unfit(f.nexthop, t)
		switch {
		case err == nil:
			fit = append(fit, t)
		case err.Status == dsn.LoopDetected:
			f.out = slices.DeleteFunc(f.out, func(t target) bool { return f.prefs[t] >= mx.Preference })
			if len(f.out) == 0 && (f.last == nil || !f.last.Temporary()) {
				f.last = err
			}
			return true
		default:
			f.fail(err)
		}
	}
	for _, t := range fit {
		f.prefs[t] = mx.Preference
	}
	f.out = append(f.out, fit...)
	return false
}

func (a *Agent) family() dns.Family {
	switch a.config.Protocols {
	case configs.IPv4:
		return dns.IPv4
	case configs.IPv6:
		return dns.IPv6
	}
	return dns.Any
}

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
	if dns.OutcomeOf(err) != dns.NoAnswer {
		return dsn.Wrap(dsn.Unroutable, "Host or domain "+name+" not found", err)
	}
	return dsn.Wrap(dsn.RoutingFailed, "Name service error for "+name+" ("+what+")", err)
}
