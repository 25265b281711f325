package hostaddr

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"toastmaster/internal/testkit/clocktest"
)

func TestReach(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]Reach{
		"127.0.0.1": Self, "127.255.255.254": Self, "0.0.0.0": Self, "0.1.2.3": Self, "::": Self, "::1": Self,
		"::ffff:127.0.0.1": Self, "::ffff:0.0.0.0": Self, "::127.0.0.1": Self, "64:ff9b::7f00:1": Self, "64:ff9b::": Self,
		"::ffff:0:127.0.0.1": Self, "::ffff:0:0:0": Self, "::ffff:0:a00:1": Private, "::ffff:0:808:808": Global,
		"2002:7f00:1::": Self, "2002:7f00:1::dead:beef": Self,
		"10.1.2.3": Private, "172.31.255.255": Private, "192.168.0.1": Private, "100.64.0.1": Private, "198.19.0.1": Private,
		"fd00::1": Private, "fc12::1": Private, "::ffff:10.0.0.1": Private, "::10.0.0.1": Private, "64:ff9b::a00:1": Private,
		"2002:a00:1::1": Private, "2002:c0a8:101::": Private, "64:ff9b:1::1": Private,
		"169.254.1.1": Nowhere, "224.0.0.1": Nowhere, "239.1.1.1": Nowhere, "240.0.0.1": Nowhere, "255.255.255.255": Nowhere,
		"fe80::1": Nowhere, "fe80::1%eth0": Nowhere, "fec0::1": Nowhere, "ff02::1": Nowhere, "2001::1": Nowhere, "::ffff:224.0.0.1": Nowhere,
		"2002:e000:1::": Nowhere, "64:ff9b::ffff:ffff": Nowhere,
		"8.8.8.8": Global, "172.32.0.1": Global, "11.0.0.1": Global, "100.128.0.1": Global, "126.255.255.255": Global,
		"2606:4700::1": Global, "64:ff9b::808:808": Global, "2002:808:808::1": Global, "2001:4860::1": Global, "192.0.2.1": Global,
	} {
		if got := ReachOf(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s is %v, want %v", ip, got, want)
		}
	}
}

func TestOwnAddresses(t *testing.T) {
	t.Parallel()
	now := clocktest.New(time.Unix(1e9, 0))
	interfaces := []string{"127.0.0.1/8", "192.0.2.10/24", "2001:db8::10/64"}
	var failed error
	reads := 0
	h := New(Options{
		Proxy:     []netip.Addr{netip.MustParseAddr("198.51.100.1")},
		Listeners: []Listener{{Port: 25}, {netip.MustParseAddr("127.0.0.1"), 2525}, {netip.MustParseAddr("192.0.2.10"), 587}},
		Clock:     now,
		Interfaces: func() (list []net.Addr, err error) {
			reads++
			for _, s := range interfaces {
				ip, n, err := net.ParseCIDR(s)
				if err != nil {
					return nil, err
				}
				list = append(list, &net.IPNet{IP: ip, Mask: n.Mask})
			}
			return list, failed
		},
	})
	for ip, want := range map[string]bool{
		"127.0.0.77": true, "0.0.0.0": true, "::": true, "::1": true, "::ffff:127.0.0.1": true, "192.0.2.10": true,
		"192.0.2.255": true, "::ffff:192.0.2.10": true, "64:ff9b::c000:20a": true, "2001:db8::10": true, "198.51.100.1": true,
		"192.0.2.11": false, "2001:db8::11": false, "10.0.0.1": false, "8.8.8.8": false, "255.255.255.255": false,
	} {
		if got := h.Has(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
	for ap, want := range map[string]bool{
		"127.0.0.1:25": true, "127.0.0.77:25": true, "0.0.0.0:25": true, "[::]:25": true, "[::ffff:127.0.0.1]:25": true,
		"192.0.2.10:25": true, "[2001:db8::10]:25": true, "192.0.2.11:25": false, "198.51.100.1:25": false,
		"127.0.0.1:2525": true, "0.0.0.0:2525": true, "127.0.0.2:2525": false, "192.0.2.10:2525": false,
		"192.0.2.10:587": true, "127.0.0.1:587": false, "127.0.0.1:26": false,
	} {
		if got := h.Serves(netip.MustParseAddrPort(ap)); got != want {
			t.Errorf("%s: %v", ap, got)
		}
	}
	for port, want := range map[uint16]bool{25: true, 2525: true, 587: true, 26: false} {
		if got := h.Listens(port); got != want {
			t.Errorf("port %d: %v", port, got)
		}
	}
	for domain, want := range map[string]bool{
		"[127.0.0.1]": true, "[0.0.0.0]": true, "[IPv6:::1]": true, "[IPv6:::ffff:127.0.0.1]": true, "[192.0.2.10]": true,
		"[198.51.100.1]": true, "[192.0.2.11]": false, "127.0.0.1": false, "example.test": false, "": false,
	} {
		if got := h.HasLiteral(domain); got != want {
			t.Errorf("%s: %v", domain, got)
		}
	}
	if reads != 1 {
		t.Errorf("the interfaces were read %d times", reads)
	}
	// An address that came is known half a minute later; what cannot be read stays.
	interfaces = append(interfaces, "192.0.2.11/32")
	now.Advance(interfaceAge)
	failed = errors.New("no memory")
	if ip := netip.MustParseAddr("192.0.2.10"); !h.Has(ip) {
		t.Error("forgotten when the interfaces could not be read")
	}
	failed = nil
	if ip := netip.MustParseAddr("192.0.2.11"); !h.Has(ip) {
		t.Error("the new address is not known")
	}
	// A clock that jumped back does not keep the list for ever.
	interfaces = interfaces[:1]
	now.Advance(-24 * time.Hour)
	if ip := netip.MustParseAddr("192.0.2.11"); h.Has(ip) {
		t.Error("an address that is gone is still known")
	}
}
