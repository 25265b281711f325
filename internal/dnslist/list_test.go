package dnslist

import (
	"net/netip"
	"testing"
)

func TestLists(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"zen.test": {"127.0.0.2", "192.0.2.1"}, "Zen.Test.": {"127.9.0.2", "127.255.255.254"},
		"zen.test=192.0.2.1": {"192.0.2.1", "127.0.0.2"}, "zen.test=127.255.255.[252..255]": {"127.255.255.254", "127.0.0.2"}, "zen.test=127.0.0.2": {"127.0.0.2", "127.0.0.3"},
		"zen.test=127.0.0.[2..11]": {"127.0.0.11", "127.0.0.12"}, "zen.test=127.0.[0;2..3].[1;4]": {"127.0.3.4", "127.0.1.4"},
		"zen.test=[127].0.[0..255].[255]": {"127.0.9.255", "127.1.9.255"},
	} {
		l, err := Parse(text)
		if err != nil || l.Domain != "zen.test" || l.Text != text {
			t.Errorf("%s: %+v %v", text, l, err)
			continue
		}
		if !l.Counts([]netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr(want[0])}) {
			t.Errorf("%s: %s does not count", text, want[0])
		}
		if want[1] != "" && l.Counts([]netip.Addr{netip.MustParseAddr(want[1]), netip.MustParseAddr("2001:db8::1")}) {
			t.Errorf("%s: %s counts", text, want[1])
		}
		if l.Counts(nil) {
			t.Errorf("%s: nothing counts", text)
		}
	}
	for _, bad := range []string{
		"", "=127.0.0.1", "a b", "a,b", "a=", "a=127.0.0", "a=127.0.0.1.2", "a=127.0.0.256", "a=127.0.0.[2", "a=127.0.0.[]", "a=127.0.0.[5..2]",
		"a=127.0.0.2]", "a=127.0.0.[2]x", "a=127.0.0.-1", "a=127.0.0.[1..]", "http://a", "a=127..0.1",
	} {
		if l, err := Parse(bad); err == nil {
			t.Errorf("%q is taken: %+v", bad, l)
		}
	}
}

func TestReversed(t *testing.T) {
	t.Parallel()
	for a, want := range map[string]string{
		"192.0.2.15": "15.2.0.192", "::ffff:192.0.2.15": "15.2.0.192",
		"2001:db8::1f": "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2",
	} {
		if got := Reversed(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a.test=127.0.[0;2..3].4")
	f.Fuzz(func(t *testing.T, s string) {
		if l, err := Parse(s); err == nil {
			l.Counts([]netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})})
		}
	})
}
