package hostaddr

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"toastmaster/internal/testkit/clocktest"
)

// TestEdgesOfBlocks: the first and the last address of each block are in it, their
// neighbours outside are not, unless another block has them.
func TestEdgesOfBlocks(t *testing.T) {
	t.Parallel()
	inside := func(ip netip.Addr) bool {
		for _, b := range blocks {
			if b.net.Contains(ip) {
				return true
			}
		}
		return false
	}
	for _, b := range blocks {
		first := b.net.Masked().Addr()
		raw := first.AsSlice()
		for i := b.net.Bits(); i < len(raw)*8; i++ {
			raw[i/8] |= 0x80 >> (i % 8)
		}
		last, _ := netip.AddrFromSlice(raw)
		for _, ip := range []netip.Addr{first, last} {
			if Plain(ip) == ip && ReachOf(ip) != b.reach {
				t.Errorf("%s of %s is %s", ip, b.net, ReachOf(ip))
			}
		}
		for _, ip := range []netip.Addr{first.Prev(), last.Next()} {
			if ip.IsValid() && !inside(ip) && Plain(ip) == ip && ReachOf(ip) != Global {
				t.Errorf("%s beside %s is %s", ip, b.net, ReachOf(ip))
			}
		}
	}
}

// TestAnIPv4AddressIsOneHoweverItIsWritten: each IPv6 form of an IPv4 address has its
// reach and is its own when that is this host's.
func TestAnIPv4AddressIsOneHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	fixed := []string{"127.0.0.1", "0.0.0.0", "10.0.0.1", "169.254.9.9", "224.0.0.5", "255.255.255.255", "192.0.2.10", "8.8.8.8"}
	h := New(Options{Clock: clocktest.New(time.Unix(1e9, 0)), Interfaces: func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.IPv4(192, 0, 2, 10), Mask: net.CIDRMask(32, 32)}}, nil
	}})
	for i := range 2000 {
		ip := netip.AddrFrom4([4]byte{byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})
		if i < len(fixed) {
			ip = netip.MustParseAddr(fixed[i])
		}
		b := ip.As4()
		for _, form := range []string{
			fmt.Sprintf("::ffff:%s", ip), fmt.Sprintf("64:ff9b::%02x%02x:%02x%02x", b[0], b[1], b[2], b[3]), fmt.Sprintf("2002:%02x%02x:%02x%02x::1", b[0], b[1], b[2], b[3]),
			fmt.Sprintf("::ffff:0:%02x%02x:%02x%02x", b[0], b[1], b[2], b[3]), fmt.Sprintf("64:ff9b::%s%%eth0", ip),
		} {
			in := netip.MustParseAddr(form)
			if Plain(in) != ip || ReachOf(in) != ReachOf(ip) || h.Has(in) != h.Has(ip) {
				t.Fatalf("%s is %s and not %s", form, Plain(in), ip)
			}
		}
	}
	for reach, want := range map[Reach]string{Global: "global", Private: "private", Nowhere: "not of a host", Self: "of this host"} {
		if reach.String() != want {
			t.Errorf("%d is %s", reach, reach)
		}
	}
}

// TestBroadcast: the last address of a network that has one.
func TestBroadcast(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.10/24": "192.0.2.255", "192.0.2.10/30": "192.0.2.11", "10.1.2.3/8": "10.255.255.255", "192.0.2.10/31": "", "192.0.2.10/32": "", "2001:db8::1/64": "", "192.0.2.129/25": "192.0.2.255",
	} {
		got, ok := broadcast(netip.MustParsePrefix(in))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: %s %v", in, got, ok)
		}
	}
}
