package postscreen

import (
	"strconv"
	"strings"
	"time"

	"toastmaster/configs"
)

// test is one of the tests that a client passes or fails. What is on disk has them in this order;
// a new one comes last.
type test uint8

const (
	pregreet test = iota
	dnsbl
	pipelining
	nonSMTP
	bareNewline
	tests
)

// set is a set of tests.
type set [tests]bool

func (s set) any() bool { return s != set{} }

// enabled says that a test is made at all.
func (s *Screen) enabled(t test) bool {
	switch t {
	case pregreet:
		return true
	case dnsbl:
		return len(s.lists) > 0 && s.o.DNS != nil
	}
	return s.deep(t).Enable
}

// deep are the parameters of a test after the greeting.
func (s *Screen) deep(t test) *configs.ScreenTest {
	switch p := &s.o.Params; t {
	case pipelining:
		return &p.Pipelining
	case nonSMTP:
		return &p.NonSMTP
	default:
		return &p.BareNewline
	}
}

// shortest is the shortest time for which a test that is made counts.
func (s *Screen) shortest() time.Duration {
	least := s.o.Params.GreetTTL
	for t := dnsbl; t < tests; t++ {
		switch {
		case !s.enabled(t):
		case t == dnsbl:
			least = min(least, s.o.Params.DNSBLMaxTTL)
		default:
			least = min(least, s.deep(t).TTL)
		}
	}
	return least
}

// todo are the tests that a client has to make now.
func (s *Screen) todo(passed [tests]time.Time, now time.Time) set {
	var todo set
	for t := range tests {
		todo[t] = s.enabled(t) && !passed[t].After(now)
	}
	return todo
}

// recalled reads what is remembered of the client: for each test until when it counts as passed.
func (v *visit) recalled() (passed [tests]time.Time, ok bool) {
	text, ok := v.s.o.Cache.Get(v.client.String())
	if !ok {
		return passed, false
	}
	for i, field := range strings.Split(text, ";") {
		if n, err := strconv.ParseInt(field, 10, 64); err == nil && i < int(tests) && n > 0 {
			passed[i] = time.Unix(n, 0)
		}
	}
	return passed, true
}

func (v *visit) recall() { v.passed, v.old = v.recalled() }

// remember keeps it, for as long as the last of them counts and the retention time. What
// another connection of the client has passed meanwhile is kept.
func (v *visit) remember() {
	others, _ := v.recalled()
	last := v.s.o.Clock.Now()
	var fields [tests]string
	for i, until := range v.passed {
		if others[i].After(until) {
			until = others[i]
		}
		if fields[i] = "0"; !until.IsZero() {
			fields[i] = strconv.FormatInt(until.Unix(), 10)
		}
		if until.After(last) {
			last = until
		}
	}
	v.s.o.Cache.Put(v.client.String(), strings.Join(fields[:], ";"), last.Add(v.s.o.Params.CacheRetention))
}

// pass notes that a test was passed for a time.
func (v *visit) pass(t test, ttl time.Duration) {
	v.won[t] = true
	if until := v.s.o.Clock.Now().Add(ttl); until.After(v.passed[t]) {
		v.passed[t] = until
	}
}
