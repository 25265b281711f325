package anvil

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestNobodyIsNeverCounted: the zero key has no rate, nothing open and no place in a table,
// whatever is done with it.
func TestNobodyIsNeverCounted(t *testing.T) {
	t.Parallel()
	c, _ := newCounter(Options{})
	nobody := Key{}
	if !nobody.IsZero() || Name("") != nobody || c.AnyClient(netip.Addr{}) != nobody || nobody.From(Name("a")) != nobody {
		t.Error("nobody is somebody")
	}
	c.Add(Auth, nobody, 9)
	c.Remove(Auth, nobody, 9)
	c.Forget(Auth, nobody)
	c.Leave(Auth, nobody)
	for range 2 {
		if !c.Enter(Auth, nobody, 1) || !c.Take(Auth, nobody, 9, 1) {
			t.Error("nobody is limited")
		}
	}
	if c.Rate(Auth, nobody) != 0 || c.Open(Auth, nobody) != 0 || c.Keys(Auth) != 0 {
		t.Errorf("rate %d, open %d, keys %d", c.Rate(Auth, nobody), c.Open(Auth, nobody), c.Keys(Auth))
	}
}

// TestLongNames: a name of 64 octets is kept as it is; a longer one is another key than each
// other, and than what its hash looks like.
func TestLongNames(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat("x", maxName)
	if Name(whole).name != whole {
		t.Error("a name at the bound is hashed")
	}
	long := Name(whole + "x")
	if len(long.name) > maxName || long == Name(whole) || long == Name(whole+"xx") || long != Name(whole+"x") || long.IsZero() {
		t.Errorf("%q", long.name)
	}
}

// TestWhichKeysAreNetworks: neither a client of the same bits, nor a user seen from there.
func TestWhichKeysAreNetworks(t *testing.T) {
	t.Parallel()
	c, _ := newCounter(Options{})
	for _, a := range []string{"192.0.2.0", "192.0.2.255", "2001:db8::", "::ffff:192.0.2.1"} {
		network, client := c.Network(ip(a)), c.Client(ip(a))
		if !network.IsNetwork() || client.IsNetwork() || Name("a").From(network).IsNetwork() || Name("a").IsNetwork() {
			t.Errorf("%s: %v %v", a, network, client)
		}
	}
}

// TestExemptClients have no key of their own, nor of their network; the others of it do.
func TestExemptClients(t *testing.T) {
	t.Parallel()
	c, _ := newCounter(Options{Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28"), netip.MustParsePrefix("2001:db8::/48"), netip.MustParsePrefix("fe80::/10")}})
	for a, exempt := range map[string]bool{
		"192.0.2.15": true, "192.0.2.16": false, "::ffff:192.0.2.1": true, "2001:db8::9": true, "2001:db8:1::9": false, "fe80::1%eth0": true, "198.51.100.1": false,
	} {
		if c.Client(ip(a)).IsZero() != exempt || c.Network(ip(a)).IsZero() != exempt || Name(a).From(c.Client(ip(a))).IsZero() != exempt {
			t.Errorf("%s: exempt %v", a, !exempt)
		}
		if c.AnyClient(ip(a)).IsZero() {
			t.Errorf("%s: who decides alone has no key", a)
		}
	}
}

// TestRemoveTakesTheNewestFirst: what is taken back is of this unit before it is of the last
// one; never more than there was, and nothing for a number that is none.
func TestRemoveTakesTheNewestFirst(t *testing.T) {
	t.Parallel()
	c, clk := newCounter(Options{})
	k := Name("a")
	c.Add(Auth, k, 60)
	clk.Advance(time.Minute)
	c.Add(Auth, k, 10)
	for _, step := range []struct{ n, want int }{{0, 70}, {-5, 70}, {4, 66}, {10, 56}, {1000, 0}, {1, 0}} {
		c.Remove(Auth, k, step.n)
		if got := c.Rate(Auth, k); got != step.want {
			t.Errorf("%d taken back: %d, want %d", step.n, got, step.want)
		}
	}
	if got := c.Add(Auth, k, 1); got != 1 {
		t.Errorf("afterwards %d", got)
	}
}

// TestUnitsThatPass: after one unit a count is the last one's, after two it is gone, also for
// a key that is in use again.
func TestUnitsThatPass(t *testing.T) {
	t.Parallel()
	for units, want := range map[int]int{0: 11, 1: 11, 2: 1, 3: 1, 1000: 1} {
		c, clk := newCounter(Options{})
		k := Name("a")
		c.Add(Auth, k, 10)
		clk.Advance(time.Duration(units) * time.Minute)
		if got := c.Add(Auth, k, 1); got != want {
			t.Errorf("after %d units: %d, want %d", units, got, want)
		}
	}
}

// TestALeaveKeepsTheRate: a key whose last thing ends stays for as long as it has events.
func TestALeaveKeepsTheRate(t *testing.T) {
	t.Parallel()
	c, clk := newCounter(Options{})
	k := Name("a")
	c.Enter(Connect, k, 0)
	c.Add(Connect, k, 3)
	c.Leave(Connect, k)
	if c.Rate(Connect, k) != 3 || c.Keys(Connect) != 1 {
		t.Errorf("rate %d, %d keys", c.Rate(Connect, k), c.Keys(Connect))
	}
	clk.Advance(time.Minute)
	c.Enter(Connect, k, 0) // which moves the count to the last unit
	c.Leave(Connect, k)
	if c.Rate(Connect, k) != 3 {
		t.Errorf("rate %d in the next unit", c.Rate(Connect, k))
	}
	c.Leave(Connect, k) // once too often
	if c.Open(Connect, k) != 0 || !c.Enter(Connect, k, 1) || c.Enter(Connect, k, 1) {
		t.Error("a Leave too many makes room for two")
	}
}

// TestNoLimit: most of nothing, or less, lets everybody in, and is counted.
func TestNoLimit(t *testing.T) {
	t.Parallel()
	c, _ := newCounter(Options{})
	k := Name("a")
	for _, most := range []int{0, -1} {
		if !c.Enter(Session, k, most) || !c.Take(Session, k, 5, most) {
			t.Errorf("most %d", most)
		}
	}
	if c.Open(Session, k) != 2 || c.Rate(Session, k) != 10 {
		t.Errorf("open %d, rate %d", c.Open(Session, k), c.Rate(Session, k))
	}
	if c.Enter(Session, k, 2) || c.Take(Session, k, 1, 10) || !c.Enter(Session, k, 3) || !c.Take(Session, k, 1, 11) {
		t.Error("a limit that comes later does not count what was let in")
	}
}

// TestKeysAreBounded: as many as the kind may have, and those with something open on top;
// each kind by itself.
func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	c, _ := newCounter(Options{Keys: 10, KeysOf: map[Kind]int{AuthUser: 3}})
	for i := range 100 {
		k := Name(strconv.Itoa(i))
		c.Add(Auth, k, 1)
		c.Add(AuthUser, k, 1)
		c.Enter(Session, k, 1)
	}
	if c.Keys(Auth) != 10 || c.Keys(AuthUser) != 3 || c.Keys(Session) != 100 || c.Keys(Connect) != 0 {
		t.Errorf("%d %d %d %d keys", c.Keys(Auth), c.Keys(AuthUser), c.Keys(Session), c.Keys(Connect))
	}
	for i := range 100 {
		c.Leave(Session, Name(strconv.Itoa(i)))
	}
	if c.Keys(Session) != 0 {
		t.Errorf("%d keys after the last left", c.Keys(Session))
	}
	// Those that are left are found still, wherever they lie now.
	found := 0
	for i := range 100 {
		found += c.Rate(Auth, Name(strconv.Itoa(i)))
	}
	if found != 10 {
		t.Errorf("%d of 10 keys are found", found)
	}
}

// TestCountsDoNotRunOver, whatever is added.
func TestCountsDoNotRunOver(t *testing.T) {
	t.Parallel()
	c, clk := newCounter(Options{Unit: time.Millisecond / 2})
	k := Name("a")
	for range 3 {
		if got := c.Add(Command, k, math.MaxInt32); got != math.MaxInt32 {
			t.Errorf("%d", got)
		}
	}
	if c.Take(Command, k, 1, math.MaxInt32-1) || c.Take(Command, k, math.MaxInt32, 5) {
		t.Error("taken above the limit")
	}
	clk.Advance(time.Millisecond / 2)
	if got := c.Rate(Command, k); got <= 0 {
		t.Errorf("in the next unit %d", got)
	}
	for _, x := range []struct{ a, b, want int }{{1, 2, 3}, {math.MaxInt32, 0, math.MaxInt32}, {math.MaxInt32 - 1, 1, math.MaxInt32}, {math.MaxInt32, 1, math.MaxInt32}, {5, -9, 0}} {
		if got := plus(x.a, x.b); got != x.want {
			t.Errorf("%d and %d: %d", x.a, x.b, got)
		}
	}
}
