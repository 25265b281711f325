package dns

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mdns "github.com/miekg/dns"

	"toastmaster/internal/clock"
	"toastmaster/internal/ttl"
)

// Options are the parameters of a Resolver.
type Options struct {
	// Servers are "address:port"; none are those of ResolvConf.
	Servers []string
	// ResolvConf and Hosts are files; "" are those of the system.
	ResolvConf, Hosts string
	// Timeout is how long one server has for one question; 0 is five seconds.
	Timeout time.Duration
	// Attempts is how often each server is asked; 0 is twice.
	Attempts int
	// Total is how long all servers have together; 0 is 20 seconds.
	Total time.Duration
	// CacheLimit is how many answers are kept; 0 keeps none.
	CacheLimit int
	// Clock is nil for that of the system.
	Clock clock.Clock
}

// Resolver asks name servers. It is safe for concurrent use, and has nothing to close.
type Resolver struct {
	*core
	// filter leaves records out of answers; nil leaves out none.
	filter Filter
}

// core is what a Resolver and those that are made of it share.
type core struct {
	o     Options
	conf  *resolvConf
	hosts *hosts
	// cache has replies for their time.
	cache *ttl.Map[question, *reply]
	// first is the server to begin with.
	first atomic.Uint32

	mu      sync.Mutex
	flights map[question]*flight
}

// question is what is asked; the name is in lower case without its last dot.
type question struct {
	name string
	kind uint16
}

func (q question) fail(o Outcome, cause error) *Error {
	return &Error{Name: q.name, Type: mdns.TypeToString[q.kind], Outcome: o, Cause: cause}
}

// New makes a Resolver.
func New(o Options) *Resolver {
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	if o.Hosts == "" {
		o.Hosts = "/etc/hosts"
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Attempts == 0 {
		o.Attempts = 2
	}
	if o.Total == 0 {
		o.Total = 20 * time.Second
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	return &Resolver{core: &core{
		o: o, conf: &resolvConf{watched: watched{path: o.ResolvConf, clock: o.Clock}},
		hosts: &hosts{watched: watched{path: o.Hosts, clock: o.Clock}}, cache: ttl.NewMap[question, *reply](o.CacheLimit, o.Clock), flights: map[question]*flight{},
	}}
}

// A asks for the IPv4 addresses of a name.
func (r *Resolver) A(ctx context.Context, name string) (Answer[netip.Addr], error) {
	return ask(ctx, r, name, mdns.TypeA, addressOf)
}

// AAAA asks for the IPv6 addresses of a name.
func (r *Resolver) AAAA(ctx context.Context, name string) (Answer[netip.Addr], error) {
	return ask(ctx, r, name, mdns.TypeAAAA, addressOf)
}

// Addresses asks for the addresses of a family, both at once for Any. What one of both
// questions finds counts; when none does, an answer that is missing counts more than a no.
func (r *Resolver) Addresses(ctx context.Context, family Family, name string) (Answer[netip.Addr], error) {
	switch family {
	case IPv4:
		return r.A(ctx, name)
	case IPv6:
		return r.AAAA(ctx, name)
	}
	var six Answer[netip.Addr]
	var err6 error
	done := make(chan struct{})
	go func() {
		defer close(done)
		six, err6 = r.AAAA(ctx, name)
	}()
	four, err4 := r.A(ctx, name)
	<-done
	switch {
	case err4 == nil && err6 == nil:
		four.Records = slices.Concat(four.Records, six.Records)
		four.TTL = min(four.TTL, six.TTL)
		four.Authentic = four.Authentic && six.Authentic
		return four, nil
	case err4 == nil:
		return four, nil
	case err6 == nil:
		return six, nil
	case OutcomeOf(err6) == NoAnswer:
		return four, err6
	}
	return four, err4
}

// Host asks hosts(5) and then name servers for the addresses of a family.
func (r *Resolver) Host(ctx context.Context, family Family, name string) (Answer[netip.Addr], error) {
	found := slices.DeleteFunc(r.hosts.addresses(canonical(name)), func(a netip.Addr) bool { return !family.has(a) })
	if len(found) > 0 {
		return Answer[netip.Addr]{Records: found, Name: canonical(name)}, nil
	}
	return r.Addresses(ctx, family, name)
}

// MX asks for the mail exchangers of a domain, in the order of the answer.
func (r *Resolver) MX(ctx context.Context, name string) (Answer[MX], error) {
	return ask(ctx, r, name, mdns.TypeMX, func(record mdns.RR) (MX, bool) {
		mx, ok := record.(*mdns.MX)
		if !ok {
			return MX{}, false
		}
		host := canonical(mx.Mx)
		return MX{Host: host, Preference: mx.Preference}, host == "" || isHost(host)
	})
}

// NS asks for the name servers of a domain.
func (r *Resolver) NS(ctx context.Context, name string) (Answer[string], error) {
	return ask(ctx, r, name, mdns.TypeNS, func(record mdns.RR) (string, bool) {
		ns, ok := record.(*mdns.NS)
		if !ok {
			return "", false
		}
		return hostOf(ns.Ns)
	})
}

// TXT asks for the texts of a name. The strings of a record are one text; its octets are
// whatever somebody wrote.
func (r *Resolver) TXT(ctx context.Context, name string) (Answer[string], error) {
	return ask(ctx, r, name, mdns.TypeTXT, func(record mdns.RR) (string, bool) {
		txt, ok := record.(*mdns.TXT)
		if !ok {
			return "", false
		}
		return octets(strings.Join(txt.Txt, "")), true
	})
}

// PTR asks for the names of an address, which whoever owns the address chose.
func (r *Resolver) PTR(ctx context.Context, a netip.Addr) (Answer[string], error) {
	name, err := mdns.ReverseAddr(a.Unmap().WithZone("").String())
	if err != nil {
		return Answer[string]{}, question{name: a.String(), kind: mdns.TypePTR}.fail(NoName, err)
	}
	return ask(ctx, r, name, mdns.TypePTR, func(record mdns.RR) (string, bool) {
		ptr, ok := record.(*mdns.PTR)
		if !ok {
			return "", false
		}
		return hostOf(ptr.Ptr)
	})
}

// Names asks hosts(5) and then name servers for the names of an address.
func (r *Resolver) Names(ctx context.Context, a netip.Addr) (Answer[string], error) {
	if found := r.hosts.names(a.Unmap().WithZone("")); len(found) > 0 {
		return Answer[string]{Records: found}, nil
	}
	return r.PTR(ctx, a)
}

// strange says that a character is in no name that is asked for: the escapes of zone
// files are none, and what is not ASCII comes as A-label.
func strange(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f }

// errMalformed is an answer whose records all have something that is no host name.
var errMalformed = errors.New("malformed reply: no record with a valid name")

// ask asks and takes of the answer what is of the type; read says no to a record
// that is not valid, which is left out.
func ask[T any](ctx context.Context, r *Resolver, name string, kind uint16, read func(mdns.RR) (T, bool)) (Answer[T], error) {
	q := question{name: canonical(name), kind: kind}
	if _, ok := mdns.IsDomainName(q.name + "."); !ok || q.name == "" || strings.ContainsFunc(q.name, strange) {
		return Answer[T]{}, q.fail(NoName, errors.New("not a domain name"))
	}
	got, err := r.answer(ctx, q)
	if err != nil {
		return Answer[T]{}, err
	}
	a := Answer[T]{Name: got.name, TTL: got.expires.Sub(r.o.Clock.Now()), Authentic: got.authentic}
	records, err := r.filtered(ctx, got.records)
	if err != nil {
		return Answer[T]{}, q.fail(NoAnswer, err)
	}
	for _, record := range records {
		if value, ok := read(record); ok {
			a.Records = append(a.Records, value)
		}
	}
	if len(a.Records) == 0 {
		return Answer[T]{}, q.fail(NoAnswer, errMalformed)
	}
	return a, nil
}

func addressOf(record mdns.RR) (netip.Addr, bool) {
	switch record := record.(type) {
	case *mdns.A:
		a, ok := netip.AddrFromSlice(record.A)
		return a.Unmap(), ok
	case *mdns.AAAA:
		a, ok := netip.AddrFromSlice(record.AAAA)
		return a.Unmap(), ok
	}
	return netip.Addr{}, false
}

func hostOf(name string) (string, bool) {
	host := canonical(name)
	return host, isHost(host)
}

// canonical is a name in lower case without its last dot.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// isHost says that a name has no character that a host name cannot have: what others
// wrote into their zones comes into logs and messages.
func isHost(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// octets undoes the escapes of the presentation form (RFC 1035 section 5.1).
func octets(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '\\' || i+1 == len(text):
			out.WriteByte(text[i])
		case i+3 < len(text) && digit(text[i+1]) && digit(text[i+2]) && digit(text[i+3]):
			out.WriteByte((text[i+1]-'0')*100 + (text[i+2]-'0')*10 + text[i+3] - '0')
			i += 3
		default:
			i++
			out.WriteByte(text[i])
		}
	}
	return out.String()
}
