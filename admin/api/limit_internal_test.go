package api

import (
	"net/netip"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
)

// TestPlacesAreKeptForTrustedNetworks: strangers cannot take the last ones.
func TestPlacesAreKeptForTrustedNetworks(t *testing.T) {
	t.Parallel()
	l := newLimitListener(nil, Options{
		Params:  configs.Admin{MaxConnections: 4, Reserved: 2, MaxClient: 10},
		Trusted: func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} },
		Counter: anvil.New(anvil.Options{Clock: clock.System{}}),
	})
	stranger, friend := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("192.0.2.1")
	for i, c := range []struct {
		from netip.Addr
		in   bool
	}{{stranger, true}, {stranger, true}, {stranger, false}, {friend, true}, {netip.Addr{}, true}, {friend, false}} {
		if _, got := l.enter(c.from); got != c.in {
			t.Errorf("client %d from %v: %v", i, c.from, got)
		}
	}
}

// TestAClientIsCountedOnce: its connections to all listeners of the API together,
// by /64, and each gives its place back once.
func TestAClientIsCountedOnce(t *testing.T) {
	t.Parallel()
	o := Options{Params: configs.Admin{MaxConnections: 100, MaxClient: 2}, Counter: anvil.New(anvil.Options{Clock: clock.System{}})}
	plain, tls := newLimitListener(nil, o), newLimitListener(nil, o)
	first, ok := plain.enter(netip.MustParseAddr("2001:db8::1"))
	_, second := tls.enter(netip.MustParseAddr("2001:db8::2"))
	if _, third := plain.enter(netip.MustParseAddr("2001:db8::3")); !ok || !second || third {
		t.Errorf("%v %v, and the third %v", ok, second, third)
	}
	if _, other := plain.enter(netip.MustParseAddr("2001:db8:0:1::1")); !other {
		t.Error("another network is refused")
	}
	plain.exit(first)
	if _, ok := tls.enter(netip.MustParseAddr("2001:db8::3")); !ok {
		t.Error("the place was not given back")
	}
}
