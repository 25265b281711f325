package lockorder

import (
	"strings"
	"sync"
	"testing"
)

type outer struct{}

func (outer) Rank() Rank { return Rank{"outer", 1} }

type inner struct{}

func (inner) Rank() Rank { return Rank{"inner", 2} }

// visit takes a lock and gives it back.
func visit(l sync.Locker) {
	l.Lock()
	defer l.Unlock()
}

// look takes a lock for reading and gives it back.
func look(l interface {
	RLock()
	RUnlock()
}) {
	l.RLock()
	defer l.RUnlock()
}

// TestOrder takes locks in every order. Without the race detector nothing is
// looked at, and all can be taken.
func TestOrder(t *testing.T) {
	var o Mutex[outer]
	var i RWMutex[inner]
	var m Foreign[inner]
	a, b := Mutex[outer]{Key: "a"}, Mutex[outer]{Key: "b"}
	m1, m2 := Foreign[inner]{Key: "1"}, Foreign[inner]{Key: "2"}
	for name, c := range map[string]struct {
		take  func()
		wrong string
	}{
		"in order":              {func() { o.Lock(); look(&i); o.Unlock() }, ""},
		"given back":            {func() { visit(&i); visit(&o) }, ""},
		"crossed":               {func() { o.Lock(); i.Lock(); o.Unlock(); i.Unlock() }, ""},
		"wrong way":             {func() { i.Lock(); defer i.Unlock(); visit(&o) }, `outer(1) "" is taken under inner(2) ""`},
		"a mark":                {func() { m.Enter(); defer m.Leave(); visit(&o) }, `outer(1) "" is taken under inner(2) ""`},
		"keys":                  {func() { a.Lock(); visit(&b); a.Unlock() }, ""},
		"keys wrong way":        {func() { b.Lock(); defer b.Unlock(); visit(&a) }, `outer(1) "a" is taken under outer(1) "b"`},
		"no keys":               {func() { o.Lock(); defer o.Unlock(); visit(&Mutex[outer]{}) }, `outer(1) "" is taken under outer(1) ""`},
		"read lock":             {func() { o.Lock(); defer o.Unlock(); look(&i) }, ""},
		"read lock wrong way":   {func() { i.RLock(); defer i.RUnlock(); visit(&o) }, `outer(1) "" is taken under inner(2) ""`},
		"under a read lock":     {func() { i.Lock(); defer i.Unlock(); look(&RWMutex[inner]{}) }, `inner(2) "" is taken under inner(2) ""`},
		"two read locks":        {func() { i.RLock(); defer i.RUnlock(); look(&RWMutex[inner]{}) }, `inner(2) "" is taken under inner(2) ""`},
		"one key":               {func() { a.Lock(); defer a.Unlock(); visit(&Mutex[outer]{Key: "a"}) }, `outer(1) "a" is taken under outer(1) "a"`},
		"a key under none":      {func() { o.Lock(); visit(&a); o.Unlock() }, ""},
		"none under a key":      {func() { a.Lock(); defer a.Unlock(); visit(&o) }, `outer(1) "" is taken under outer(1) "a"`},
		"foreign locks":         {func() { m1.Enter(); m2.Enter(); m1.Leave(); m2.Leave() }, ""},
		"foreign, wrong way":    {func() { m2.Enter(); defer m2.Leave(); m1.Enter(); m1.Leave() }, `inner(2) "1" is taken under inner(2) "2"`},
		"behind the second":     {func() { a.Lock(); defer a.Unlock(); b.Lock(); defer b.Unlock(); visit(&Mutex[outer]{Key: "aa"}) }, `outer(1) "aa" is taken under outer(1) "b"`},
		"the second given back": {func() { a.Lock(); defer a.Unlock(); visit(&b); visit(&Mutex[outer]{Key: "aa"}) }, ""},
		"the first given back":  {func() { a.Lock(); b.Lock(); a.Unlock(); defer b.Unlock(); visit(&o) }, `outer(1) "" is taken under outer(1) "b"`},
		"other goroutine": {func() {
			o.Lock()
			done := make(chan struct{})
			go func() { visit(&i); close(done) }()
			<-done
			o.Unlock()
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				p := recover()
				violation, ok := p.(Violation)
				if p != nil && !ok {
					panic(p)
				}
				got := string(violation)
				if want := c.wrong; Asserted && (want == "") != (got == "") || !strings.HasSuffix(got, c.wrong) && Asserted {
					t.Errorf("%q, want %q", got, want)
				}
			}()
			c.take()
		})
	}
}

// TestAfterAViolation: what was refused is not held, what was held before is given back, and
// the goroutine goes on as if nothing had been.
func TestAfterAViolation(t *testing.T) {
	var o, second Mutex[outer]
	var i RWMutex[inner]
	for range 3 {
		func() {
			i.Lock()
			defer i.Unlock()
			defer func() { _ = recover() }()
			visit(&o)
		}()
		visit(&o) // nothing of it is held any more
		o.Lock()
		look(&i)
		o.Unlock()
		visit(&second)
	}
	// The locks are those of sync all the same: two at once never have one.
	n := 0
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				o.Lock()
				n++
				o.Unlock()
			}
		})
	}
	all.Wait()
	if n != 4000 {
		t.Errorf("%d of 4000", n)
	}
}
