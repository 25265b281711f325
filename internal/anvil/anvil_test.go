package anvil

import (
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/testkit/clocktest"
)

func newCounter(o Options) (*Counter, *clocktest.Clock) {
	c := clocktest.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	o.Clock = c
	return New(o), c
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestKeys(t *testing.T) {
	t.Parallel()
	c, _ := newCounter(Options{Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	long := strings.Repeat("x", 1000)
	for _, x := range []struct {
		what string
		a, b Key
		same bool
	}{
		{"two addresses", c.Client(ip("192.0.2.1")), c.Client(ip("192.0.2.2")), false},
		{"mapped", c.Client(ip("192.0.2.1")), c.Client(ip("::ffff:192.0.2.1")), true},
		{"one /64", c.Client(ip("2001:db8::1")), c.Client(ip("2001:db8::2")), true},
		{"two /64", c.Client(ip("2001:db8::1")), c.Client(ip("2001:db8:0:1::1")), false},
		{"one /48", c.Network(ip("2001:db8::1")), c.Network(ip("2001:db8:0:1::1")), true},
		{"one /24", c.Network(ip("192.0.2.1")), c.Network(ip("192.0.2.2")), true},
		{"client and network", c.Network(ip("192.0.2.0")), c.Client(ip("192.0.2.0")), false},
		{"name", Name("a"), Name("b"), false},
		{"long names", Name(long + "a"), Name(long + "b"), false},
		{"name from", Name("a").From(c.Client(ip("192.0.2.1"))), Name("a").From(c.Client(ip("192.0.2.2"))), false},
		{"name from and name", Name("a").From(c.Client(ip("192.0.2.1"))), Name("a"), false},
		{"exempt", c.Client(ip("127.0.0.9")), Key{}, true},
		{"no address", c.Client(netip.Addr{}), Key{}, true},
		{"name from nobody", Name("a").From(Key{}), Key{}, true},
		{"zone", c.Client(ip("fe80::1%eth0")), c.Client(ip("fe80::1%eth1")), true},
	} {
		if (x.a == x.b) != x.same {
			t.Errorf("%s: %v and %v", x.what, x.a, x.b)
		}
	}
	for _, a := range []string{"192.0.2.1", "2001:db8::1"} {
		if !c.Network(ip(a)).IsNetwork() || c.Client(ip(a)).IsNetwork() || Name("a").From(c.Network(ip(a))).IsNetwork() || (Key{}).IsNetwork() {
			t.Errorf("%s: which one is the network?", a)
		}
	}
	if len(Name(long).name) > maxName {
		t.Error("a long name is kept whole")
	}
}

// TestRateSlides: no jump at the border of a unit.
func TestRateSlides(t *testing.T) {
	t.Parallel()
	c, clk := newCounter(Options{Units: map[Kind]time.Duration{UserMessage: time.Hour}})
	k, user := c.Client(ip("192.0.2.1")), Name("alice@example.test")
	clk.Advance(59 * time.Second)
	if got := c.Add(Auth, k, 60); got != 60 {
		t.Errorf("rate %d", got)
	}
	c.Add(UserMessage, user, 3)
	for _, x := range []struct {
		advance time.Duration
		want    int
	}{{time.Second, 60}, {15 * time.Second, 45}, {44 * time.Second, 1}, {time.Second, 0}, {time.Hour, 0}} {
		clk.Advance(x.advance)
		if got := c.Rate(Auth, k); got != x.want {
			t.Errorf("after %v more: %d, want %d", x.advance, got, x.want)
		}
	}
	if got := c.Rate(UserMessage, user); got != 3 {
		t.Errorf("by the hour: %d", got)
	}
	if c.Rate(Connect, k) != 0 || c.Unit(UserMessage) != time.Hour || c.Unit(Auth) != time.Minute {
		t.Error("kinds are mixed")
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	c, clk := newCounter(Options{})
	k := c.Client(ip("192.0.2.1"))
	for i := range 10 {
		if ok := c.Take(Recipient, k, 2, 10); ok != (i < 5) {
			t.Errorf("take %d: %v", i, ok)
		}
	}
	if got := c.Rate(Recipient, k); got != 10 {
		t.Errorf("what was refused counted: %d", got)
	}
	clk.Advance(90 * time.Second) // half of it lies in the past
	if !c.Take(Recipient, k, 5, 10) || c.Take(Recipient, k, 1, 10) {
		t.Error("the rate does not come back as time passes")
	}
	c.Remove(Recipient, k, 7)
	if got := c.Rate(Recipient, k); got != 4 { // half of 8: 5 and 2 of 10 are taken back
		t.Errorf("taken back: %d", got)
	}
	c.Remove(Recipient, Name("unknown"), 7)
	c.Forget(Recipient, k)
	if c.Rate(Recipient, k) != 0 || c.Keys(Recipient) != 0 {
		t.Error("not forgotten")
	}
	if !c.Take(Recipient, k, 1000, 0) || c.Rate(Recipient, k) != 1000 {
		t.Error("no limit")
	}
	for range 3 {
		if !c.Take(Recipient, Key{}, 1000, 1) || c.Add(Recipient, Key{}, 5) != 0 {
			t.Error("nobody is limited")
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	c, _ := newCounter(Options{})
	k := Name("alice").From(c.Client(ip("192.0.2.1")))
	for n, want := range []bool{true, true, false} {
		if got := c.Enter(Session, k, 2); got != want {
			t.Errorf("number %d of two: %v", n+1, got)
		}
	}
	c.Add(Session, k, 1)
	c.Forget(Session, k)
	if c.Open(Session, k) != 2 {
		t.Error("forgetting a rate ended what is open")
	}
	c.Leave(Session, k)
	if !c.Enter(Session, k, 2) {
		t.Error("a place was not given back")
	}
	c.Leave(Session, k)
	c.Leave(Session, k)
	if c.Keys(Session) != 0 || c.Open(Session, k) != 0 {
		t.Errorf("%d keys after the last left", c.Keys(Session))
	}
	for range 3 {
		if !c.Enter(Session, Key{}, 1) {
			t.Error("nobody is limited")
		}
	}
	c.Leave(Session, Key{})
}

// TestFloodForgetsNobody: addresses with one event each push out each other,
// not the one who has many.
func TestFloodForgetsNobody(t *testing.T) {
	t.Parallel()
	c, _ := newCounter(Options{Keys: 500})
	guilty, open := c.Client(ip("192.0.2.1")), c.Client(ip("192.0.2.2"))
	c.Add(Auth, guilty, 20)
	c.Enter(Auth, open, 1)
	for i := range 50000 {
		c.Add(Auth, Name(strconv.Itoa(i)), 1)
	}
	if got := c.Rate(Auth, guilty); got != 20 {
		t.Errorf("the guilty one has %d events", got)
	}
	if got := c.Open(Auth, open); got != 1 {
		t.Errorf("%d open", got)
	}
	if n := c.Keys(Auth); n > 501 {
		t.Errorf("%d keys of 500", n)
	}
}

// TestSilentKeysGo: the table becomes small again.
func TestSilentKeysGo(t *testing.T) {
	t.Parallel()
	c, clk := newCounter(Options{Keys: 10000})
	for i := range 5000 {
		c.Add(Connect, Name(strconv.Itoa(i)), 1)
	}
	clk.Advance(3 * time.Minute)
	for i := range 2600 {
		c.Add(Connect, Name("n"+strconv.Itoa(i)), 1)
	}
	if n := c.Keys(Connect); n != 2600 {
		t.Errorf("%d keys, 2600 of them in use", n)
	}
}

// TestClockSetBack: a clock that shows less than before counts on.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	c, clk := newCounter(Options{})
	k := Name("a")
	clk.Advance(time.Hour)
	c.Add(Auth, k, 2)
	clk.Advance(-2 * time.Hour)
	if got := c.Add(Auth, k, 1); got < 1 {
		t.Errorf("rate %d", got)
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	c, _ := newCounter(Options{Keys: 64})
	k := Name("all")
	var wg sync.WaitGroup
	taken := make([]int, 8)
	for g := range taken {
		wg.Go(func() {
			for i := range 1000 {
				if c.Take(Message, k, 1, 100) {
					taken[g]++
				}
				c.Enter(Message, Name(strconv.Itoa(i)), 0)
				c.Leave(Message, Name(strconv.Itoa(i)))
				c.Add(Command, Name(strconv.Itoa(i*g)), 1)
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range taken {
		sum += n
	}
	if sum != 100 || c.Rate(Message, k) != 100 || c.Keys(Message) != 1 {
		t.Errorf("taken %d, rate %d, keys %d", sum, c.Rate(Message, k), c.Keys(Message))
	}
}

func BenchmarkTake(b *testing.B) {
	b.Run("one key", func(b *testing.B) {
		c, _ := newCounter(Options{})
		k := c.Client(ip("192.0.2.1"))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				c.Take(Command, k, 1, 100)
			}
		})
	})
	b.Run("flood", func(b *testing.B) {
		c, _ := newCounter(Options{})
		i := uint32(0)
		for b.Loop() {
			i += 257
			c.Take(Command, c.Client(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})), 1, 100)
		}
	})
}
