package fair

import (
	"slices"
	"strings"

	"toastmaster/internal/fifo"
)

// Options say what is enough. Each function is asked while the owner of the turns holds his
// lock; what it says may change with Take and Done, and for a site whenever the owner calls
// Offer. nil is never.
type Options[E comparable, D any] struct {
	TenantFull func(*Tenant[E, D]) bool
	SiteFull   func(*Site[E, D]) bool
	LaneFull   func(*Lane[E, D]) bool
	// SitesShare says that a site may get room because something of another is done.
	SitesShare bool
	// Data makes what the owner wants to know of a site.
	Data func(key string) D
}

// Turns are the entries that wait, and what is out of them. Not safe for concurrent use.
type Turns[E comparable, D any] struct {
	o       Options[E, D]
	tenants map[string]*Tenant[E, D]
	sites   map[string]*Site[E, D]
	ring    fifo.List[*Tenant[E, D]] // those with a lane that may be tried
	full    []*Tenant[E, D]
	// lanes are full themselves, blocked are sites that lanes wait for, when SitesShare.
	lanes   []*Lane[E, D]
	blocked []*Site[E, D]
	out     Amount
	waiting int
}

// Amount is how much is out: entries, and what they weigh.
type Amount struct{ Entries, Weight int }

// Tenant is one whose entries wait or are out.
type Tenant[E comparable, D any] struct {
	Key string
	out Amount
	// lanes are to be tried; offered are those that waited for a site that has room now.
	lanes, offered fifo.List[*Lane[E, D]]
	count          int  // of lanes that there are
	ringed, full   bool // in Turns.ring, in Turns.full
}

// Site is where entries go.
type Site[E comparable, D any] struct {
	Key  string
	Data D
	out  Amount
	// offers are the lanes that were told of room here and had no turn since.
	offers  int
	waiting fifo.List[*Lane[E, D]]
	blocked bool // in Turns.blocked
	lanes   map[*Tenant[E, D]]*Lane[E, D]
}

// Lane is what one tenant has for one site.
type Lane[E comparable, D any] struct {
	Tenant  *Tenant[E, D]
	Site    *Site[E, D]
	turns   *Turns[E, D]
	entries fifo.List[E]
	out     Amount
	listed  bool // with its tenant, its site, or Turns.lanes
}

// New makes turns.
func New[E comparable, D any](o Options[E, D]) *Turns[E, D] {
	return &Turns[E, D]{o: o, tenants: map[string]*Tenant[E, D]{}, sites: map[string]*Site[E, D]{}}
}

// Out is what is out.
func (t *Turns[E, D]) Out() Amount { return t.out }

// Waiting is how many entries wait.
func (t *Turns[E, D]) Waiting() int { return t.waiting }

// Ready says that Next may find something.
func (t *Turns[E, D]) Ready() bool { return t.ring.Len() > 0 }

// Out is what is out of a tenant.
func (t *Tenant[E, D]) Out() Amount { return t.out }

// Out is what is out for a site.
func (s *Site[E, D]) Out() Amount { return s.out }

// Taken is how many entries are out for a site, and are about to be.
func (s *Site[E, D]) Taken() int { return s.out.Entries + s.offers }

// Out is what is out of a lane.
func (l *Lane[E, D]) Out() Amount { return l.out }

// Site is the one of that key, nil when nothing waits for it or is out.
func (t *Turns[E, D]) Site(key string) *Site[E, D] { return t.sites[key] }

// Push puts e at the end of what a tenant has waiting for a site, its lane.
func (t *Turns[E, D]) Push(tenant, site string, e E) *Lane[E, D] {
	l := t.Lane(tenant, site)
	l.entries.Push(e)
	t.waiting++
	t.list(l)
	return l
}

// Next takes the entry whose turn it is; nil: there is none that may go now. The caller
// says Take of its lane, or drops it.
func (t *Turns[E, D]) Next() (e E, l *Lane[E, D]) {
	for {
		tenant, ok := t.ring.Pop()
		if !ok {
			return e, nil
		}
		tenant.ringed = false
		if t.o.TenantFull != nil && t.o.TenantFull(tenant) {
			t.fill(tenant)
			continue
		}
		if l = t.candidate(tenant); l == nil {
			t.forgetTenant(tenant)
			continue
		}
		e, _ = l.entries.Pop()
		t.waiting--
		l.listed = false
		if l.entries.Len() > 0 {
			t.list(l)
		} else {
			t.enter(tenant)
		}
		return e, l
	}
}

// Enter is Push and Next of one entry that is not waiting for its turn: the lane of it, nil
// when tenant, site or lane are full.
func (t *Turns[E, D]) Enter(tenant, site string) *Lane[E, D] {
	l := t.Lane(tenant, site)
	if t.tenantFull(l.Tenant) || t.siteFull(l.Site) || t.laneFull(l) {
		t.forget(l)
		return nil
	}
	return l
}

// Take says that an entry of l is out.
func (l *Lane[E, D]) Take(weight int) {
	for _, a := range []*Amount{&l.out, &l.Site.out, &l.Tenant.out, &l.turns.out} {
		a.Entries++
		a.Weight += weight
	}
}

// Drop says that the entry that Next gave is none any more.
func (l *Lane[E, D]) Drop() {
	l.turns.Offer(l.Site)
	l.turns.forget(l)
}

// Withdraw takes an entry out of what waits in l, if it is there. It costs a look at what waits there.
func (l *Lane[E, D]) Withdraw(e E) {
	before := l.entries.Len()
	l.entries.Remove(e)
	l.turns.waiting -= before - l.entries.Len()
	l.turns.forget(l) // where it is listed still, it is found to be empty
}

// Done says that an entry of l is out no more. What waits may be ready then.
func (l *Lane[E, D]) Done(weight int) {
	t := l.turns
	for _, a := range []*Amount{&l.out, &l.Site.out, &l.Tenant.out, &t.out} {
		a.Entries--
		a.Weight -= weight
	}
	t.full = slices.DeleteFunc(t.full, func(tenant *Tenant[E, D]) bool {
		if t.tenantFull(tenant) {
			return false
		}
		tenant.full = false
		t.enter(tenant)
		t.forgetTenant(tenant)
		return true
	})
	t.lanes = slices.DeleteFunc(t.lanes, func(l *Lane[E, D]) bool {
		if t.laneFull(l) {
			return false
		}
		l.Tenant.lanes.Push(l)
		t.enter(l.Tenant)
		return true
	})
	t.Offer(l.Site)
	if t.o.SitesShare {
		t.blocked = slices.DeleteFunc(t.blocked, func(s *Site[E, D]) bool {
			t.Offer(s)
			s.blocked = s.waiting.Len() > 0
			return !s.blocked
		})
	}
	t.forget(l)
}

// Offer tells the lanes that wait for a site of the room that it has.
func (t *Turns[E, D]) Offer(s *Site[E, D]) {
	for s.waiting.Len() > 0 && !t.siteFull(s) {
		l, _ := s.waiting.Pop()
		switch {
		case l.entries.Len() == 0:
			l.listed = false
			t.forget(l)
		case l.Tenant.full:
			l.Tenant.lanes.Push(l)
		default:
			l.Tenant.offered.Push(l)
			s.offers++
			t.enter(l.Tenant)
		}
	}
}

// Drain takes all that waits for a site.
func (t *Turns[E, D]) Drain(s *Site[E, D]) []E {
	var all []E
	for _, l := range s.lanes {
		all = append(all, l.entries.Drain()...)
	}
	t.waiting -= len(all)
	for _, l := range s.waiting.Drain() {
		l.listed = false
	}
	// Where else a lane is listed it is found to be empty.
	for _, l := range s.lanes {
		t.forget(l)
	}
	return all
}

// DrainAll takes all that waits.
func (t *Turns[E, D]) DrainAll() []E {
	var all []E
	for _, s := range t.sites {
		all = append(all, t.Drain(s)...)
	}
	return all
}

// candidate is the lane of a tenant whose turn it is; nil: there is none that may go. What
// may not goes where it waits.
func (t *Turns[E, D]) candidate(tenant *Tenant[E, D]) *Lane[E, D] {
	for {
		l, offered := tenant.offered.Pop()
		if offered {
			l.Site.offers--
		} else if l, _ = tenant.lanes.Pop(); l == nil {
			return nil
		}
		switch {
		case l.entries.Len() == 0:
			l.listed = false
		case t.laneFull(l):
			t.lanes = append(t.lanes, l)
		case t.siteFull(l.Site):
			t.wait(l)
			continue
		default:
			return l
		}
		if offered {
			t.Offer(l.Site)
		}
		t.forget(l)
	}
}

// wait lets l wait for its site.
func (t *Turns[E, D]) wait(l *Lane[E, D]) {
	s := l.Site
	s.waiting.Push(l)
	if t.o.SitesShare && !s.blocked {
		s.blocked = true
		t.blocked = append(t.blocked, s)
	}
}

// fill passes a tenant over that has enough out. What was offered to it is for others.
func (t *Turns[E, D]) fill(tenant *Tenant[E, D]) {
	tenant.full = true
	t.full = append(t.full, tenant)
	for _, l := range tenant.offered.Drain() {
		l.Site.offers--
		tenant.lanes.Push(l)
		t.Offer(l.Site)
	}
}

// list lists a lane with its tenant.
func (t *Turns[E, D]) list(l *Lane[E, D]) {
	if !l.listed {
		l.listed = true
		l.Tenant.lanes.Push(l)
		t.enter(l.Tenant)
	}
}

// enter puts a tenant into the ring if it has something to try.
func (t *Turns[E, D]) enter(tenant *Tenant[E, D]) {
	if !tenant.ringed && !tenant.full && tenant.lanes.Len()+tenant.offered.Len() > 0 {
		tenant.ringed = true
		t.ring.Push(tenant)
	}
}

func (t *Turns[E, D]) tenantFull(x *Tenant[E, D]) bool {
	return t.o.TenantFull != nil && t.o.TenantFull(x)
}

func (t *Turns[E, D]) siteFull(s *Site[E, D]) bool { return t.o.SiteFull != nil && t.o.SiteFull(s) }

func (t *Turns[E, D]) laneFull(l *Lane[E, D]) bool { return t.o.LaneFull != nil && t.o.LaneFull(l) }

// Lane finds or makes a lane, full or not. The caller says Take of it, or drops it.
func (t *Turns[E, D]) Lane(tenant, site string) *Lane[E, D] {
	of := t.tenants[tenant]
	if of == nil {
		of = &Tenant[E, D]{Key: strings.Clone(tenant)}
		t.tenants[of.Key] = of
	}
	s := t.sites[site]
	if s == nil {
		s = &Site[E, D]{Key: strings.Clone(site), lanes: map[*Tenant[E, D]]*Lane[E, D]{}}
		if t.o.Data != nil {
			s.Data = t.o.Data(s.Key)
		}
		t.sites[s.Key] = s
	}
	l := s.lanes[of]
	if l == nil {
		l = &Lane[E, D]{Tenant: of, Site: s, turns: t}
		s.lanes[of] = l
		of.count++
	}
	return l
}

// forget forgets a lane that has nothing waiting and nothing out, and its tenant and its
// site, if that was their last.
func (t *Turns[E, D]) forget(l *Lane[E, D]) {
	if l.entries.Len() > 0 || l.listed || l.out.Entries > 0 || l.Site.lanes[l.Tenant] != l {
		return
	}
	delete(l.Site.lanes, l.Tenant)
	if len(l.Site.lanes) == 0 {
		delete(t.sites, l.Site.Key)
	}
	l.Tenant.count--
	t.forgetTenant(l.Tenant)
}

// forgetTenant forgets a tenant without lanes. One in the ring is forgotten when it comes up.
func (t *Turns[E, D]) forgetTenant(tenant *Tenant[E, D]) {
	if tenant.count == 0 && !tenant.ringed && !tenant.full {
		delete(t.tenants, tenant.Key)
	}
}
