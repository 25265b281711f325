package postscreen

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/dns"
	"toastmaster/internal/dnslist"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// list is a DNS list: one question, however many filters look at its answer.
type list struct {
	domain string
	sites  []configs.DNSBLSite
}

// addSite puts sites of the same list together.
func (s *Screen) addSite(site configs.DNSBLSite) {
	for i := range s.lists {
		if s.lists[i].domain == site.List.Domain {
			s.lists[i].sites = append(s.lists[i].sites, site)
			return
		}
	}
	s.lists = append(s.lists, list{site.List.Domain, []configs.DNSBLSite{site}})
}

// answers gathers what DNS lists say of a client while it waits for its greeting. The
// goroutines that ask have ended when end returns.
type answers struct {
	asking sync.WaitGroup
	cancel context.CancelFunc
	// done is closed when all have answered, or failed.
	done chan struct{}

	mu      sync.Mutex
	missing int
	weight  int
	// list is the one with the greatest weight against the client.
	list    string
	against int
	// ttl is the shortest of the answers; asked says that there is one.
	ttl   time.Duration
	asked bool
}

// noAnswers are those to no question.
func noAnswers() *answers {
	a := &answers{cancel: func() {}, done: make(chan struct{})}
	close(a.done)
	return a
}

// askLists begins to ask about a client.
func (s *Screen) askLists(ctx context.Context, v *visit) *answers {
	a := &answers{missing: len(s.lists), done: make(chan struct{})}
	ctx, a.cancel = context.WithTimeout(ctx, s.o.Params.DNSBLTimeout)
	name := dnslist.Reversed(v.client)
	s.asking.Add(int64(len(s.lists)))
	for _, l := range s.lists {
		a.asking.Go(func() {
			defer s.asking.Add(-1)
			if service.Fenced(s.o.Log, func() error { a.ask(ctx, v, name, l); return nil }, "service", "postscreen", "session", v.session) != nil {
				a.add(0, "", 0)
			}
		})
	}
	return a
}

// ask asks one list. One that does not answer counts for nothing, as with Postfix: it must not
// decide about mail by being away.
func (a *answers) ask(ctx context.Context, v *visit, name string, l list) {
	found, err := v.s.o.DNS.A(ctx, name+"."+l.domain)
	weight, called, ttl := 0, "", found.TTL
	var no *dns.Error
	switch {
	case err == nil:
		if weight = l.weight(found.Records); l.counts(found.Records) {
			called = v.s.nameOf(ctx, l.domain)
			for _, r := range found.Records {
				v.logAnytime(msglog.Screened{Result: "LISTED", List: called, Text: r.String()})
			}
		}
		if strange := l.strange(found.Records); strange != nil {
			v.s.o.Log.Warn("DNS list lists nobody", "service", "postscreen", "session", v.session, "list", v.s.nameOf(ctx, l.domain), "cause", strange)
		}
	case errors.As(err, &no):
		ttl = no.TTL // 0 for no answer: asked again soon
	}
	a.add(weight, called, ttl)
}

// add counts the answer of a list.
func (a *answers) add(weight int, called string, ttl time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.weight += weight
	if weight > a.against {
		a.list, a.against = called, weight
	}
	if !a.asked || ttl < a.ttl {
		a.ttl, a.asked = ttl, true
	}
	if a.missing--; a.missing == 0 {
		close(a.done)
	}
}

// weight is the sum of the weights of the filters that an answer passes.
func (l list) weight(answer []netip.Addr) int {
	sum := 0
	for _, site := range l.sites {
		if site.List.Counts(answer) {
			sum += site.Weight
		}
	}
	return sum
}

func (l list) counts(answer []netip.Addr) bool {
	for _, site := range l.sites {
		if site.List.Counts(answer) {
			return true
		}
	}
	return false
}

// strange is why an answer is none that a list gives, to a site that takes every listing.
func (l list) strange(answer []netip.Addr) error {
	for _, site := range l.sites {
		if err := site.List.Strange(answer); err != nil {
			return err
		}
	}
	return nil
}

// nameOf is what a list is called where others read it. What is said when the table that
// hides the name does not answer names none.
func (s *Screen) nameOf(ctx context.Context, domain string) string {
	for i, t := range s.names {
		name, err := t.Lookup(ctx, domain)
		switch directory.OutcomeOf(err) {
		case directory.Found:
			return name
		case directory.NotFound:
		default:
			// Not the error: it has the key, which is what is to be hidden.
			s.o.Log.Warn("a table of postscreen.dnsbl_reply_map does not answer; the list is not named", "service", "postscreen", "table", s.o.Params.DNSBLReplyMap[i])
			return "a DNS list"
		}
	}
	return domain
}

// score is what has been said until now. ttl is 0 while an answer is missing.
func (a *answers) score() (rank int, list string, ttl time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.missing == 0 {
		ttl = a.ttl
	}
	return a.weight, a.list, ttl
}

// end waits for those who ask.
func (a *answers) end() {
	a.cancel()
	a.asking.Wait()
}
