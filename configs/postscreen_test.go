package configs

import (
	"net/netip"
	"testing"
)

func TestParseDNSBLSite(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"a.test": 1, "a.test*3": 3, "a.test*-2": -2, "a.test=127.0.0.[2;4..11]*3": 3, "a.test=127.0.0.2": 1, "a.test*0": 0} {
		site, err := ParseDNSBLSite(text)
		if err != nil || site.Weight != want || site.List.Domain != "a.test" {
			t.Errorf("%s: %+v %v", text, site, err)
		}
	}
	for _, text := range []string{"", "a.test*", "a.test*x", "a.test*1001", "a.test*-1001", "a.test*2=127.0.0.2", "a.test=1.2.3*4", "a b"} {
		if site, err := ParseDNSBLSite(text); err == nil {
			t.Errorf("%q: %+v", text, site)
		}
	}
}

func TestParseInterface(t *testing.T) {
	t.Parallel()
	has, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for text, want := range map[string][3]bool{ // not, has one, has another
		"static:all": {false, true, true}, "!static:all": {true, true, true}, "192.0.2.1": {false, true, false}, "!192.0.2.0/24": {true, true, false},
		"2001:db8::/32": {false, false, true}, "::ffff:192.0.2.1": {false, true, false},
	} {
		i, err := ParseInterface(text)
		if got := [3]bool{i.Not, i.Has(has), i.Has(other)}; err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "!", "x", "static:", "192.0.2.0/33", "fe80::1%eth0", "!!192.0.2.1"} {
		if i, err := ParseInterface(text); err == nil {
			t.Errorf("%q: %+v", text, i)
		}
	}
}
