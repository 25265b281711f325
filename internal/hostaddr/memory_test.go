package hostaddr

import (
	"net/netip"
	"testing"
)

// Each message that leaves asks it of its next hop.
func TestReachTakesNoMemory(t *testing.T) {
	for _, text := range []string{"192.0.2.1", "127.0.0.1", "2001:db8::1", "64:ff9b::7f00:1"} {
		ip := netip.MustParseAddr(text)
		if n := testing.AllocsPerRun(100, func() { ReachOf(ip) }); n > 0 {
			t.Errorf("%s: %v pieces of memory", text, n)
		}
	}
}
