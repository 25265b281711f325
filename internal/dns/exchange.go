package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
)

const (
	// maxAliases is how many aliases in a row are followed.
	maxAliases = 10
	// payload is the largest datagram that is asked for: it crosses every network unbroken.
	payload = 1232

	maxTTL         = 24 * time.Hour
	maxNegativeTTL = 3 * time.Hour // RFC 2308 section 5
)

// reply is what the servers said.
type reply struct {
	outcome   Outcome // not NoAnswer
	records   []mdns.RR
	name      string
	expires   time.Time
	authentic bool
}

// maxKept is the most octets of memory that a kept answer takes. It is no parameter: with
// dns.cache_limit it bounds the memory, and who needs an answer of hundreds of records has
// written it to fill that.
const maxKept = 8 << 10

// cost is about how many octets of memory the records take: a record of four octets on
// the wire is a structure with a name of its own.
func (a *reply) cost() (n int) {
	const structure = 128
	for _, record := range a.records {
		if n += structure; n <= maxKept {
			n += len(record.String()) // its names and texts lie in memory as they are shown
		}
	}
	return n
}

func (a *reply) result(q question, now time.Time) (*reply, error) {
	if a.outcome == Found {
		return a, nil
	}
	e := q.fail(a.outcome, nil)
	e.TTL = a.expires.Sub(now)
	return nil, e
}

// chase asks, and goes on where an answer ends with an alias.
func (r *core) chase(ctx context.Context, q question) (*reply, error) {
	name, life, authentic := q.name, maxTTL, true
	for range maxAliases {
		m, err := r.query(ctx, question{name: name, kind: q.kind})
		if err != nil {
			return nil, err
		}
		got := follow(m, name, q.kind)
		if got.err != nil {
			return nil, got.err
		}
		life = min(life, got.life)
		authentic = authentic && m.AuthenticatedData
		out := &reply{records: got.records, name: got.name, authentic: authentic}
		switch negative, known := soaTTL(m); {
		case len(got.records) > 0:
			out.outcome = Found
		case m.Rcode == mdns.RcodeNameError:
			out.outcome, life = NoName, min(life, negative)
		case got.name == name || known:
			out.outcome, life = NoRecord, min(life, negative)
		default:
			name = got.name
			continue
		}
		out.expires = r.o.Clock.Now().Add(life)
		return out, nil
	}
	return nil, errors.New("too many aliases")
}

// followed is an answer, read.
type followed struct {
	records []mdns.RR
	name    string // where the aliases lead
	life    time.Duration
	err     error
}

// follow reads an answer section from a name over its aliases, whatever their order.
func follow(m *mdns.Msg, name string, kind uint16) followed {
	f := followed{name: name, life: maxTTL}
	for range maxAliases + 1 {
		var alias *mdns.CNAME
		for _, record := range m.Answer {
			h := record.Header()
			if h.Class != mdns.ClassINET || canonical(h.Name) != f.name {
				continue
			}
			switch h.Rrtype {
			case kind:
				f.records = append(f.records, record)
				f.live(h.Ttl)
			case mdns.TypeCNAME:
				alias, _ = record.(*mdns.CNAME)
			}
		}
		if len(f.records) > 0 || alias == nil {
			return f
		}
		f.live(alias.Hdr.Ttl)
		f.name = canonical(alias.Target)
		if f.name == name {
			break
		}
	}
	f.err = errors.New("aliases in a loop")
	return f
}

func (f *followed) live(ttl uint32) { f.life = min(f.life, seconds(ttl)) }

// seconds reads a TTL: one with the highest bit counts as 0 (RFC 2181 section 8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

// soaTTL is how long a no holds, and whether an SOA record says so.
func soaTTL(m *mdns.Msg) (time.Duration, bool) {
	for _, record := range m.Ns {
		if soa, ok := record.(*mdns.SOA); ok {
			return min(seconds(soa.Hdr.Ttl), seconds(soa.Minttl), maxNegativeTTL), true
		}
	}
	return 0, false
}

// query asks one server after the other, until one answers.
func (r *core) query(ctx context.Context, q question) (*mdns.Msg, error) {
	servers := r.o.Servers
	if len(servers) == 0 {
		servers = r.conf.servers()
	}
	first := r.first.Load()
	var last error
	for range r.o.Attempts {
		for i := range servers {
			n := (uint32(i) + first) % uint32(len(servers))
			m, err := r.exchange(ctx, servers[n], q)
			if err == nil {
				r.first.Store(n)
				return m, nil
			}
			last = fmt.Errorf("%s: %w", servers[n], err)
			if ctx.Err() != nil {
				return nil, last
			}
		}
	}
	return nil, last
}

// exchange asks one server, in its time.
func (r *core) exchange(ctx context.Context, server string, q question) (*mdns.Msg, error) {
	ctx, stop := bounded(ctx, r.o.Clock, r.o.Timeout)
	defer stop()
	m := new(mdns.Msg)
	m.SetQuestion(mdns.Fqdn(q.name), q.kind)
	m.AuthenticatedData = true // the wish to see AD (RFC 6840 section 5.7)
	m.SetEdns0(payload, false)
	answer, err := r.roundTrip(ctx, server, m)
	if err == nil && (answer.Rcode == mdns.RcodeFormatError || answer.Rcode == mdns.RcodeNotImplemented) {
		m.Extra = nil
		answer, err = r.roundTrip(ctx, server, m)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	case answer.Rcode != mdns.RcodeSuccess && answer.Rcode != mdns.RcodeNameError:
		return nil, errors.New(codeText(answer.Rcode))
	case answer.Truncated:
		return nil, errors.New("the answer is cut off over TCP, too")
	case answer.Rcode == mdns.RcodeSuccess && len(answer.Answer) == 0 && isReferral(answer):
		return nil, errors.New("has no answer itself, and asks no other server")
	}
	return answer, nil
}

// codeText names a response code.
func codeText(code int) string {
	if text := mdns.RcodeToString[code]; text != "" {
		return text
	}
	return fmt.Sprintf("response code %d", code)
}

// isReferral says of an answer without records that the server does not answer for the name, nor ask
// others about it: it refers to other servers, or says nothing at all (lame).
func isReferral(m *mdns.Msg) bool {
	if m.Authoritative || m.RecursionAvailable {
		return false
	}
	for _, record := range m.Ns {
		if record.Header().Rrtype == mdns.TypeSOA {
			return false
		}
	}
	return true
}

// roundTrip asks by UDP, and by TCP for what does not fit.
func (r *core) roundTrip(ctx context.Context, server string, m *mdns.Msg) (*mdns.Msg, error) {
	answer, err := trip(ctx, "udp", server, m)
	if err != nil || !answer.Truncated {
		return answer, err
	}
	return trip(ctx, "tcp", server, m)
}

// trip sends a question on a connection of its own and waits for its answer.
func trip(ctx context.Context, network, server string, m *mdns.Msg) (*mdns.Msg, error) {
	m.Id = mdns.Id()
	var d net.Dialer
	c, err := d.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	// A deadline in the past ends what waits, whichever clock ended the context.
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	conn := &mdns.Conn{Conn: c, UDPSize: payload}
	if err := conn.WriteMsg(m); err != nil {
		return nil, err
	}
	for {
		answer, err := conn.ReadMsg()
		switch {
		case answer != nil && answers(answer, m): // what cannot be read to its end may still say that it was cut off
			if err != nil && !(answer.Truncated && network == "udp") {
				return nil, err
			}
			return answer, nil
		case err != nil && isTransport(err):
			return nil, err
		case network == "tcp":
			return nil, errors.New("answers another question")
		}
		// Somebody guesses; the answer may still come.
	}
}

// isTransport says that a connection is broken, and not what came over it.
func isTransport(err error) bool {
	var e *mdns.Error
	return !errors.As(err, &e)
}

// answers says that a message is the answer to the question.
func answers(answer, m *mdns.Msg) bool {
	if !answer.Response || answer.Id != m.Id {
		return false
	}
	if len(answer.Question) == 0 { // some refuse so, and who does not understand EDNS
		return answer.Rcode != mdns.RcodeSuccess && answer.Rcode != mdns.RcodeNameError
	}
	return len(answer.Question) == 1 &&
		strings.EqualFold(answer.Question[0].Name, m.Question[0].Name) &&
		answer.Question[0].Qtype == m.Question[0].Qtype && answer.Question[0].Qclass == m.Question[0].Qclass
}
