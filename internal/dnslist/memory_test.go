package dnslist

import (
	"net/netip"
	"testing"
)

// Each list is asked for each recipient.
func TestReversedTakesLittleMemory(t *testing.T) {
	for _, a := range []string{"192.0.2.1", "2001:db8::1"} {
		ip := netip.MustParseAddr(a)
		if n := testing.AllocsPerRun(100, func() { Reversed(ip) }); n > 1+1 { // the name, and the octets of the address
			t.Errorf("%s: %v pieces of memory", a, n)
		}
	}
}
