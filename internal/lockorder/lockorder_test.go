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
	for name, c := range map[string]struct {
		take  func()
		wrong string
	}{
		"in order":       {func() { o.Lock(); look(&i); o.Unlock() }, ""},
		"given back":     {func() { visit(&i); visit(&o) }, ""},
		"crossed":        {func() { o.Lock(); i.Lock(); o.Unlock(); i.Unlock() }, ""},
		"wrong way":      {func() { i.Lock(); defer i.Unlock(); visit(&o) }, `outer(1) "" is taken under inner(2) ""`},
		"a mark":         {func() { m.Enter(); defer m.Leave(); visit(&o) }, `outer(1) "" is taken under inner(2) ""`},
		"keys":           {func() { a.Lock(); visit(&b); a.Unlock() }, ""},
		"keys wrong way": {func() { b.Lock(); defer b.Unlock(); visit(&a) }, `outer(1) "a" is taken under outer(1) "b"`},
		"no keys":        {func() { o.Lock(); defer o.Unlock(); visit(&Mutex[outer]{}) }, `outer(1) "" is taken under outer(1) ""`},
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
