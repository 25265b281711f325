package lockorder

import (
	"strings"
	"testing"
)

type outer struct{}

func (outer) Place() Place { return Place{"outer", 1} }

type inner struct{}

func (inner) Place() Place { return Place{"inner", 2} }

// TestOrder takes locks in every order. Without the race detector nothing is
// looked at, and all can be taken.
func TestOrder(t *testing.T) {
	var o Mutex[outer]
	var i RWMutex[inner]
	var m Mark[inner]
	a, b := Mutex[outer]{Key: "a"}, Mutex[outer]{Key: "b"}
	for name, c := range map[string]struct {
		take  func()
		wrong string
	}{
		"in order":       {func() { o.Lock(); i.RLock(); i.RUnlock(); o.Unlock() }, ""},
		"given back":     {func() { i.Lock(); i.Unlock(); o.Lock(); o.Unlock() }, ""},
		"crossed":        {func() { o.Lock(); i.Lock(); o.Unlock(); i.Unlock() }, ""},
		"wrong way":      {func() { i.Lock(); defer i.Unlock(); o.Lock(); o.Unlock() }, `outer(1) "" is taken under inner(2) ""`},
		"a mark":         {func() { m.Enter(); defer m.Leave(); o.Lock(); o.Unlock() }, `outer(1) "" is taken under inner(2) ""`},
		"keys":           {func() { a.Lock(); b.Lock(); b.Unlock(); a.Unlock() }, ""},
		"keys wrong way": {func() { b.Lock(); defer b.Unlock(); a.Lock(); a.Unlock() }, `outer(1) "a" is taken under outer(1) "b"`},
		"no keys":        {func() { o.Lock(); defer o.Unlock(); var p Mutex[outer]; p.Lock(); p.Unlock() }, `outer(1) "" is taken under outer(1) ""`},
		"other goroutine": {func() {
			o.Lock()
			done := make(chan struct{})
			go func() { i.Lock(); i.Unlock(); close(done) }()
			<-done
			o.Unlock()
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				got, _ := recover().(string)
				if want := c.wrong; Asserted && (want == "") != (got == "") || !strings.HasSuffix(got, c.wrong) && Asserted {
					t.Errorf("%q, want %q", got, want)
				}
			}()
			c.take()
		})
	}
}
