package api

import (
	"net/netip"
	"testing"

	"toastmaster/configs"
)

// TestPlacesAreKeptForTrustedNetworks: strangers cannot take the last ones.
func TestPlacesAreKeptForTrustedNetworks(t *testing.T) {
	t.Parallel()
	l := newLimitListener(nil, Options{
		Params:  configs.Admin{MaxConnections: 4, Reserved: 2, MaxClient: 10},
		Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	stranger, friend := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("192.0.2.1")
	for i, c := range []struct {
		from netip.Addr
		in   bool
	}{{stranger, true}, {stranger, true}, {stranger, false}, {friend, true}, {netip.Addr{}, true}, {friend, false}} {
		if got := l.enter(c.from); got != c.in {
			t.Errorf("client %d from %v: %v", i, c.from, got)
		}
	}
}
