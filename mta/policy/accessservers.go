package policy

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"toastmaster/directory/tables/keys"
	"toastmaster/internal/dns"
)

// maxServerAddresses bounds the addresses of the servers of one domain that are looked up:
// whoever owns the domain chooses how many there are.
const maxServerAddresses = 100

// serversOf finds the servers of a domain: their names, and for nil the domain alone,
// which stands for itself and whose name is not looked up (check_*_a_access).
type serversOf func(ctx context.Context, e *Env, t *Transaction, domain string) ([]string, error)

// serverKeys are the names of the servers of a domain, with the domains that they are in, and
// their addresses. Servers that name servers say nothing about are not looked up, with a line
// in the log: a list of bad servers refuses nobody by a guess.
func serverKeys(of domainOf, servers serversOf, literals bool) lookups {
	return func(ctx context.Context, e *Env, t *Transaction, ask func(keys.Walk) bool) {
		domain := strings.TrimSuffix(of(ctx, e, t), ".")
		switch {
		case domain == "":
			return
		case strings.HasPrefix(domain, "["):
			if ip, err := netip.ParseAddr(inLiteral(domain)); err == nil && literals {
				ask(keys.Client("", ip, e.Keys))
			}
			return
		case e.DNS == nil:
			return
		}
		names := []string{domain}
		if servers != nil {
			var err error
			if names, err = servers(ctx, e, t, domain); err != nil {
				e.Log.Warn("servers of a domain not found", "service", e.logService(), "session", t.Session, "domain", domain, "cause", err)
				return
			}
		}
		(&serverWalk{e: e, t: t, ask: ask, names: servers != nil}).walk(ctx, names)
	}
}

// inLiteral is the address in an address literal.
func inLiteral(literal string) string {
	const v6 = "IPv6:"
	text := strings.TrimSuffix(literal[1:], "]")
	if len(text) > len(v6) && strings.EqualFold(text[:len(v6)], v6) {
		return text[len(v6):]
	}
	return text
}

// serverWalk asks for servers, one after the other.
type serverWalk struct {
	e     *Env
	t     *Transaction
	ask   func(keys.Walk) bool
	names bool // ask for names, too
	seen  int  // addresses so far
}

func (w *serverWalk) walk(ctx context.Context, servers []string) {
	for _, server := range servers {
		if w.one(ctx, server) || w.seen > maxServerAddresses {
			return
		}
	}
}

// one asks for a server; done says that the search is over.
func (w *serverWalk) one(ctx context.Context, server string) (done bool) {
	if ip, err := netip.ParseAddr(server); err == nil {
		return w.ask(keys.Client("", ip, w.e.Keys))
	}
	if w.names && w.ask(keys.Domain(server, w.e.Keys)) {
		return true
	}
	found, err := answered(w.t, "address "+server, func() (dns.Answer[netip.Addr], error) { return w.e.DNS.Host(ctx, dns.Any, server) })
	if err != nil {
		if w.names || dns.OutcomeOf(err) == dns.NoAnswer {
			w.e.Log.Warn("addresses of a server not found", "service", w.e.logService(), "session", w.t.Session, "host", server, "cause", err)
		}
		return false
	}
	for _, ip := range found.Records {
		if w.seen++; w.seen > maxServerAddresses {
			w.e.Log.Warn("more addresses of servers than are looked up", "service", w.e.logService(), "session", w.t.Session, "host", server)
			return true
		}
		if w.ask(keys.Client("", ip, w.e.Keys)) {
			return true
		}
	}
	return false
}

// errUnanswered is no answer.
var errUnanswered = errors.New("name servers have not answered the same question about this message before")

// answered is an answer of name servers, asked for as Transaction.once does.
func answered[T any](t *Transaction, question string, ask func() (dns.Answer[T], error)) (a dns.Answer[T], err error) {
	err = errUnanswered
	t.once(question, func() dns.Outcome {
		a, err = ask()
		return dns.OutcomeOf(err)
	})
	return a, err
}

// exchangersOf are the mail exchangers of a domain; one without them is its own. The null
// MX is none.
func exchangersOf(ctx context.Context, e *Env, t *Transaction, domain string) ([]string, error) {
	mx, err := answered(t, "MX "+domain, func() (dns.Answer[dns.MX], error) { return e.DNS.MX(ctx, domain) })
	switch dns.OutcomeOf(err) {
	case dns.NoAnswer:
		return nil, err
	case dns.NoName, dns.NoRecord:
		return []string{domain}, nil
	}
	var hosts []string
	for _, m := range mx.Records {
		if m.Host == "" {
			return nil, nil
		}
		hosts = append(hosts, m.Host)
	}
	return hosts, nil
}

// nameServersOf are the name servers of a domain, or of the nearest one that it is in.
func nameServersOf(ctx context.Context, e *Env, t *Transaction, domain string) ([]string, error) {
	for {
		ns, err := answered(t, "NS "+domain, func() (dns.Answer[string], error) { return e.DNS.NS(ctx, domain) })
		switch dns.OutcomeOf(err) {
		case dns.Found:
			return ns.Records, nil
		case dns.NoAnswer:
			return nil, err
		}
		_, parent, ok := strings.Cut(domain, ".")
		if !ok || parent == "" {
			return nil, err
		}
		domain = parent
	}
}
