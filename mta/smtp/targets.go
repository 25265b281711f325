package smtp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

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
	// socket is a Unix socket on this host, in the place of addr.
	socket string
}

// String is the relay of the log, "host[address]:port" or "host[socket]".
func (t target) String() string {
	if t.socket != "" {
		return fmt.Sprintf("%s[%s]", t.host, t.socket)
	}
	return fmt.Sprintf("%s[%s]:%d", t.host, t.addr.Addr(), t.addr.Port())
}

// targets lists where to connect to for a nexthop, best first, at most
// smtp.address_limit. ours: this host is one of its mail exchangers, so that there is no
// other way for its mail.
func (a *Agent) targets(ctx context.Context, n configs.Nexthop) (list []target, ours bool, failed *dsn.Error) {
	if n.Socket != "" {
		return []target{{host: a.hostname, socket: n.Socket}}, false, nil
	}
	port := uint16(n.Port)
	if port == 0 {
		port = uint16(a.config.Port)
	}
	if ip, err := netip.ParseAddr(n.Host); err == nil {
		t := target{host: n.Host, addr: netip.AddrPortFrom(ip, port)}
		if err := a.unfit(n, t); err != nil {
			return nil, err.Status == dsn.LoopDetected, err
		}
		return []target{t}, false, nil
	}
	hosts := []dns.MX{{Host: n.Host}}
	if !n.Direct {
		if hosts, ours, failed = a.exchangers(ctx, n.Host); failed != nil {
			return nil, ours, failed
		}
	}
	list, listed, failed := a.addresses(ctx, n, hosts, port)
	if failed != nil && failed.Status == dsn.Unroutable && a.config.DeferWithoutMX && hosts[0].Host != n.Host && !errors.Is(failed, errPrivate) {
		failed = softened(failed)
	}
	return list, ours || listed, failed
}

// exchangers are the MX hosts of a domain in order, itself when it has none. ours: this
// host's name was one of them.
func (a *Agent) exchangers(ctx context.Context, domain string) (hosts []dns.MX, ours bool, failed *dsn.Error) {
	found, err := a.dns.MX(ctx, domain)
	switch dns.OutcomeOf(err) {
	case dns.NoName, dns.NoRecord:
		return []dns.MX{{Host: domain}}, false, nil
	case dns.NoAnswer:
		if a.config.IgnoreMXError {
			return []dns.MX{{Host: domain}}, false, nil
		}
		return nil, false, lookupError(domain, "MX", err)
	}
	hosts = found.Records
	if len(hosts) == 1 && hosts[0].Host == "" {
		return nil, false, dsn.Newf(dsn.NullMX, "Domain %s does not accept mail (null MX)", domain)
	}
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	slices.SortStableFunc(hosts, func(x, y dns.MX) int { return int(x.Preference) - int(y.Preference) })
	return a.beforeUs(domain, hosts)
}

// beforeUs cuts off what is not better than this host's own name.
func (a *Agent) beforeUs(domain string, hosts []dns.MX) (better []dns.MX, ours bool, failed *dsn.Error) {
	us := slices.IndexFunc(hosts, func(mx dns.MX) bool { return mx.Host == a.hostname })
	if us < 0 {
		return hosts, false, nil
	}
	best := slices.IndexFunc(hosts, func(mx dns.MX) bool { return mx.Preference == hosts[us].Preference })
	if best == 0 {
		return nil, true, loop(domain)
	}
	return hosts[:best], true, nil
}

func loop(domain string) *dsn.Error {
	return dsn.Newf(dsn.LoopDetected, "Mail for %s loops back to this host", domain)
}

// unfit says why there is no connecting to t for the nexthop n: it is ourselves,
// or in a network that is not the Internet's. What a recipient's domain leads to
// is chosen by whoever writes its DNS records, or by the sender who writes a
// literal, so it is looked at closely; smtp.relayhost and smtp.fallback_relay are the
// operator's word, unless it is one of our own listeners.
func (a *Agent) unfit(n configs.Nexthop, t target) *dsn.Error {
	ip := hostaddr.Plain(t.addr.Addr())
	reach := hostaddr.ReachOf(ip)
	switch {
	case a.lmtp:
		// LMTP is for stores of our own, here and elsewhere, and never for mail that goes on.
		return nil
	case a.host.Serves(t.addr):
		return loop(n.Host)
	case a.named(n):
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
		fmt.Errorf("%s is %s; %w", t, reach, errPrivate))
}

// errPrivate is the cause of what unfit says of networks that are not the Internet's. A fallback
// relay is not asked to go there for us.
var errPrivate = errors.New("smtp.private_networks says which are allowed")

// addresses looks up hosts until there are enough, or until one of them is this host.
func (a *Agent) addresses(ctx context.Context, n configs.Nexthop, hosts []dns.MX, port uint16) (list []target, ours bool, failed *dsn.Error) {
	f := finding{agent: a, nexthop: n, prefs: map[target]uint16{}}
	for _, mx := range hosts {
		if mx.Host == "" || f.enough() {
			continue
		}
		ips, err := a.lookup(ctx, mx.Host)
		if err != nil {
			f.fail(lookupError(mx.Host, "address", err))
			continue
		}
		if ours = f.add(mx, interleave(ips), port); ours {
			break
		}
	}
	switch {
	case len(f.out) > 0:
		return f.chosen(), ours, nil
	case f.last != nil:
		return nil, ours, f.last
	}
	return nil, ours, dsn.Newf(dsn.Unroutable, "No usable mail exchanger for %s", n.Host)
}

// lookup finds the addresses of a host. A name of localhost is this host, whatever a name
// server says or does not know (RFC 6761 section 6.3).
func (a *Agent) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		ips := []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}
		return slices.DeleteFunc(ips, func(ip netip.Addr) bool {
			return a.config.Protocols == configs.IPv4 && ip.Is6() || a.config.Protocols == configs.IPv6 && ip.Is4()
		}), nil
	}
	found, err := a.dns.Host(ctx, a.family(), host)
	return found.Records, err
}

// finding is the search for targets.
type finding struct {
	agent   *Agent
	nexthop configs.Nexthop
	out     []target
	prefs   map[target]uint16
	last    *dsn.Error // why there may be none; what passes with time goes first
}

// mostAddresses bounds what is looked up for one destination when one family is missing. It is no
// parameter: who has more tells everybody the same.
const mostAddresses = 100

// enough says that no more exchangers need be looked up.
func (f *finding) enough() bool {
	limit := f.agent.config.AddressLimit
	if len(f.out) < limit {
		return false
	}
	v4, v6 := families(f.out)
	return !f.agent.config.Balance || f.agent.config.Protocols != configs.AnyNetwork || len(f.out) >= mostAddresses || v4 >= limit/2 && v6 >= limit/2
}

func families(list []target) (v4, v6 int) {
	for _, t := range list {
		if t.addr.Addr().Is4() {
			v4++
		}
	}
	return v4, len(list) - v4
}

// chosen are the addresses to try, in order: those of a better preference first, then those of the
// preferred family; and neither family shuts the other out.
func (f *finding) chosen() []target {
	c := &f.agent.config
	if c.AddressPreference != configs.AnyNetwork {
		slices.SortStableFunc(f.out, func(x, y target) int {
			if d := int(f.prefs[x]) - int(f.prefs[y]); d != 0 {
				return d
			}
			return later(x, c.AddressPreference) - later(y, c.AddressPreference)
		})
	}
	if !c.Balance || len(f.out) <= c.AddressLimit {
		return f.out[:min(len(f.out), c.AddressLimit)]
	}
	return balanced(f.out, c.AddressLimit)
}

// later is 1 for an address that is not of the preferred family.
func later(t target, preferred configs.Network) int {
	if t.addr.Addr().Is4() == (preferred == configs.IPv4) {
		return 0
	}
	return 1
}

// balanced are at most limit of a longer list, in its order, with half of them of each family, or as
// many as there are.
func balanced(list []target, limit int) []target {
	v4, v6 := families(list)
	half4 := limit / 2
	if limit%2 == 1 && list[0].addr.Addr().Is4() {
		half4++
	}
	most4 := min(v4, max(half4, limit-v6))
	most6 := limit - most4
	out := make([]target, 0, limit)
	for _, t := range list {
		left := &most6
		if t.addr.Addr().Is4() {
			left = &most4
		}
		if *left > 0 {
			*left--
			out = append(out, t)
		}
	}
	return out
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
		t := target{host: mx.Host, addr: netip.AddrPortFrom(ip, port)}
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
