package fair

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// rig has room for total entries in all, window for a site.
type rig struct {
	*Turns[int, int]
	total int
}

func newRig(total, window, times int) *rig {
	r := &rig{total: total}
	free := func() int { return r.total - r.Out().Entries }
	r.Turns = New(Options[int, int]{
		TenantFull: func(t *Tenant[int, int]) bool { return Share(t.Out().Entries, free(), times, 1) },
		SiteFull:   func(s *Site[int, int]) bool { return s.Taken() >= s.Data },
		Data:       func(string) int { return window },
	})
	return r
}

// take takes as long as something may go.
func (r *rig) take() (all []*Lane[int, int]) {
	for r.Out().Entries < r.total {
		_, l := r.Next()
		if l == nil {
			break
		}
		l.Take(1)
		all = append(all, l)
	}
	return all
}

// TestTenFindTheirWay: behind a hundred thousand entries of one tenant, ten of another come
// up in turn, for the same site and for others.
func TestTenFindTheirWay(t *testing.T) {
	t.Parallel()
	turns := New(Options[int, struct{}]{})
	for i := range 100_000 {
		turns.Push("a", fmt.Sprint("site", i%1000), i)
	}
	for i := range 10 {
		turns.Push("b", "site0", i)
	}
	var last int
	for i := 1; last == 0; i++ {
		if _, l := turns.Next(); l.Tenant.Key == "b" && l.Site.lanes[l.Tenant].entries.Len() == 0 {
			last = i
		}
	}
	if last > 20 {
		t.Errorf("the last of ten came as number %d", last)
	}
}

// TestSomethingIsFree however many sites of one tenant are slow, and what is taken is
// as equal as it may be.
func TestSomethingIsFree(t *testing.T) {
	t.Parallel()
	r := newRig(100, 20, 4)
	for i := range 10_000 {
		r.Push("a", fmt.Sprint("slow", i%50), i)
	}
	if n := len(r.take()); n != 80 {
		t.Errorf("one tenant has %d of 100", n)
	}
	for i := range 10 {
		r.Push("b", "slow0", i)
		r.Push("c", "slow1", i)
	}
	got := map[string]int{}
	for _, l := range r.take() {
		got[l.Tenant.Key]++
	}
	if got["a"] != 0 || got["b"] < 7 || got["c"] < 7 {
		t.Errorf("of 20 that are free %v", got)
	}
}

// TestASiteIsShared: whose tenants wait for a site have it in turn, those that came late, too.
func TestASiteIsShared(t *testing.T) {
	t.Parallel()
	r := newRig(100, 1, 100)
	for i := range 1000 {
		r.Push("a", "x", i)
	}
	out := r.take()
	for i := range 3 {
		r.Push("b", "x", i)
		r.Push("c", "x", i)
	}
	var order strings.Builder
	for range 9 {
		if len(out) != 1 {
			t.Fatalf("%d at once", len(out))
		}
		order.WriteString(out[0].Tenant.Key)
		out[0].Done(1)
		out = r.take()
	}
	if got := order.String(); got != "aabcabcab" && got != "abcabcabc" {
		t.Errorf("order %s", got)
	}
}

// TestNobodyIsForgotten: whatever comes and ends, as long as there is room in all nothing
// waits whose tenant, site and lane have room; lanes keep their order; and nothing is kept
// of who is gone.
func TestNobodyIsForgotten(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		total := 1 + r.IntN(30)
		m := &model{t: t, seed: seed, rand: r, total: total, last: map[string]int{}, lanes: map[int]*Lane[int, *int]{}}
		free := func() int { return total - m.turns.Out().Entries }
		o := Options[int, *int]{
			TenantFull: func(x *Tenant[int, *int]) bool { return Share(x.Out().Entries, free(), 2, 1) },
			LaneFull:   func(x *Lane[int, *int]) bool { return Share(x.Out().Weight, free(), 1, 2) },
			Data: func(key string) *int {
				n := 1 + r.IntN(4)
				return &n
			},
		}
		o.SiteFull = func(x *Site[int, *int]) bool { return x.Taken() >= *x.Data }
		if seed%2 == 0 {
			o.SitesShare = true
			o.SiteFull = func(x *Site[int, *int]) bool { return Share(x.Taken(), free(), 1, 1) }
		}
		m.o = o
		m.turns = New(o)
		m.run()
	}
}

type taken struct {
	l      *Lane[int, *int]
	weight int
}

type model struct {
	t     *testing.T
	seed  uint64
	rand  *rand.Rand
	total int
	o     Options[int, *int]
	turns *Turns[int, *int]
	out   []taken
	next  int
	last  map[string]int // lane: the last entry that came
	lanes map[int]*Lane[int, *int]
	pend  int
}

func (m *model) run() {
	r := m.rand
	for range 400 {
		switch r.IntN(12) {
		case 0, 1, 2, 3:
			m.next++
			m.pend++
			m.lanes[m.next] = m.turns.Push(fmt.Sprint("t", r.IntN(5)), fmt.Sprint("s", r.IntN(5)), m.next)
		case 4, 5, 6:
			m.take()
		case 7, 8, 9:
			m.done()
		case 10:
			if s := m.turns.Site(fmt.Sprint("s", r.IntN(5))); s != nil {
				*s.Data = r.IntN(4)
				if r.IntN(3) == 0 {
					m.pend -= len(m.turns.Drain(s))
				}
				m.turns.Offer(s)
			}
		case 11:
			if r.IntN(2) == 0 {
				m.withdraw()
			} else if l := m.turns.Enter(fmt.Sprint("t", r.IntN(5)), fmt.Sprint("s", r.IntN(5))); l != nil && len(m.out) < m.total {
				l.Take(1)
				m.out = append(m.out, taken{l, 1})
			} else if l != nil {
				l.Drop()
			}
		}
		m.check(false)
	}
	for _, s := range m.turns.sites {
		*s.Data = 3
		m.turns.Offer(s)
	}
	for m.pend > 0 || len(m.out) > 0 {
		for m.take() {
		}
		m.check(true)
		if !m.done() && m.pend > 0 {
			m.t.Fatalf("seed %d: %d wait for nothing", m.seed, m.pend)
		}
	}
	if n := len(m.turns.tenants) + len(m.turns.sites) + len(m.turns.full) + len(m.turns.lanes); n > 0 {
		m.t.Errorf("seed %d: kept: tenants %v, sites %v", m.seed, m.turns.tenants, m.turns.sites)
	}
}

func (m *model) take() bool {
	if len(m.out) >= m.total {
		return false
	}
	e, l := m.turns.Next()
	if l == nil {
		m.check(true)
		return false
	}
	m.pend--
	key := l.Tenant.Key + l.Site.Key
	if e <= m.last[key] {
		m.t.Fatalf("seed %d: %d after %d of one lane", m.seed, e, m.last[key])
	}
	m.last[key] = e
	if m.o.TenantFull(l.Tenant) || m.o.SiteFull(l.Site) || m.o.LaneFull(l) {
		m.t.Fatalf("seed %d: %s is full", m.seed, key)
	}
	if m.rand.IntN(8) == 0 {
		l.Drop()
		return true
	}
	w := 1 + m.rand.IntN(2)
	l.Take(w)
	m.out = append(m.out, taken{l, w})
	return true
}

// withdraw takes an entry back that may wait, be out, or be done.
func (m *model) withdraw() {
	if m.next == 0 {
		return
	}
	e := 1 + m.rand.IntN(m.next)
	l := m.lanes[e]
	before := m.turns.Waiting()
	l.Withdraw(e)
	m.pend -= before - m.turns.Waiting()
	l.Withdraw(e)
}

func (m *model) done() bool {
	if len(m.out) == 0 {
		return false
	}
	i := m.rand.IntN(len(m.out))
	o := m.out[i]
	m.out = slices.Delete(m.out, i, i+1)
	o.l.Done(o.weight)
	return true
}

// check looks at the sums; idle: nothing may go, so everybody who waits has a reason.
func (m *model) check(idle bool) {
	waiting := 0
	for _, s := range m.turns.sites {
		if idle && len(m.out) < m.total && s.offers > 0 {
			m.t.Fatalf("seed %d: room of %s is kept for nobody", m.seed, s.Key)
		}
		for _, l := range s.lanes {
			waiting += l.entries.Len()
			if idle && len(m.out) < m.total && l.entries.Len() > 0 &&
				!m.o.TenantFull(l.Tenant) && !m.o.SiteFull(s) && !m.o.LaneFull(l) {
				m.t.Fatalf("seed %d: lane %s %s waits for nothing", m.seed, l.Tenant.Key, s.Key)
			}
		}
	}
	if waiting != m.pend || m.turns.Waiting() != m.pend || m.turns.Out().Entries != len(m.out) {
		m.t.Fatalf("seed %d: %d wait, %d said, %d should; %d out", m.seed, waiting, m.turns.Waiting(), m.pend, m.turns.Out().Entries)
	}
}
