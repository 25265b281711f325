package smtp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/hostaddr"
	"toastmaster/internal/testkit/dnstest"
)

func mx(hosts ...string) dnstest.Name {
	var n dnstest.Name
	for _, h := range hosts {
		host, pref, _ := strings.Cut(h, ":")
		m := net.MX{Host: host}
		fmt.Sscan(pref, &m.Pref)
		n.MX = append(n.MX, m)
	}
	return n
}

func a(addresses ...string) dnstest.Name { return dnstest.Name{Addrs: addresses} }

func TestTargets(t *testing.T) {
	t.Parallel()
	names := map[string]dnstest.Name{
		"two.test": mx("b.test:20", "a.test:10"), "a.test": a("192.0.2.1"), "b.test": a("192.0.2.2", "2001:db8::2"),
		"plain.test": a("192.0.2.3"), "null.test": mx(".:0"), "cname.test": {CNAME: "two.test"},
		"cnamed.test": mx("c.test:1"), "c.test": {CNAME: "a.test"},
		"us.test": mx("mail.example.test:10", "a.test:20"), "backup.test": mx("a.test:5", "Mail.Example.Test:10", "b.test:20"),
		"equal.test":   mx("a.test:10", "mail.example.test:10"),
		"address.test": mx("me.test:10", "a.test:20"), "second.test": mx("a.test:5", "me.test:10", "b.test:20"), "me.test": a("198.51.100.9"),
		"direct-us.test": a("198.51.100.9"), "mail.example.test": a("198.51.100.9"),
		"broken.test": {Fail: true}, "half.test": mx("broken.test:1", "a.test:2"), "sick.test": mx("broken.test:1", "nowhere.test:2"),
		"dangling.test": mx("nowhere.test:1"), "nodata.test": {TXT: []string{"x"}},
		"big.test": a("192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14", "192.0.2.15", "2001:db8::10", "2001:db8::11"),
	}
	r := newRig(t, 2525, names, func(c *configs.SMTP, _ *Options) { c.OwnAddresses = []string{"198.51.100.9"} })
	for nexthop, want := range map[string]string{
		"two.test":       "a.test[192.0.2.1]:2525 b.test[2001:db8::2]:2525 b.test[192.0.2.2]:2525",
		"two.test:26":    "a.test[192.0.2.1]:26 b.test[2001:db8::2]:26 b.test[192.0.2.2]:26",
		"plain.test":     "plain.test[192.0.2.3]:2525",
		"cname.test":     "a.test[192.0.2.1]:2525 b.test[2001:db8::2]:2525 b.test[192.0.2.2]:2525",
		"cnamed.test":    "c.test[192.0.2.1]:2525",
		"[b.test]:587":   "b.test[2001:db8::2]:587 b.test[192.0.2.2]:587",
		"[192.0.2.9]":    "192.0.2.9[192.0.2.9]:2525",
		"[IPv6:::1]:26":  "::1[::1]:26",
		"backup.test":    "a.test[192.0.2.1]:2525",
		"second.test":    "a.test[192.0.2.1]:2525",
		"half.test":      "a.test[192.0.2.1]:2525",
		"[me.test]":      dsn.LoopDetected.String(),
		"null.test":      dsn.NullMX.String(),
		"us.test":        dsn.LoopDetected.String(),
		"equal.test":     dsn.LoopDetected.String(),
		"address.test":   dsn.LoopDetected.String(),
		"direct-us.test": dsn.LoopDetected.String(),
		"broken.test":    dsn.RoutingFailed.String(),
		"sick.test":      dsn.RoutingFailed.String(),
		"dangling.test":  dsn.Unroutable.String(),
		"nodata.test":    dsn.Unroutable.String(),
		"nowhere.test":   dsn.Unroutable.String(),
	} {
		if got := r.agent.find(t, nexthop); got != want {
			t.Errorf("%s: %s, want %s", nexthop, got, want)
		}
	}
	got, _, failed := r.agent.targets(t.Context(), configs.Nexthop{Host: "big.test"})
	if failed != nil || len(got) != 5 || got[0].addr.Addr().Is4() || !got[1].addr.Addr().Is4() {
		t.Errorf("%v %v", got, failed)
	}
}

// TestNoWayBackToOurselves: what a recipient's domain leads to is never this
// host, and only a private network where the operator allows it.
func TestNoWayBackToOurselves(t *testing.T) {
	t.Parallel()
	names := map[string]dnstest.Name{
		"public.test": a("192.0.2.1"), "broken.test": {Fail: true}, "inside.test": mx("inside-mx.test:10"), "inside-mx.test": a("10.9.9.9"),
		"mixed.test": a("10.1.1.1", "192.0.2.7", "169.254.1.1"), "half.test": mx("self-mx.test:20", "public.test:10"),
		"later.test": mx("broken.test:5", "self-mx.test:10"), "behind.test": mx("self-mx.test:10", "public.test:20"), "self-mx.test": a("127.0.0.77"),
		"spare.test": mx("private-mx.test:10", "public.test:20"), "private-mx.test": a("192.168.0.1"), "wait.test": mx("private-mx.test:10", "broken.test:20"),
		"relay.test": a("10.0.0.1"), "us.test": a("203.0.113.5"),
		"lo.test": mx("localhost:10", "public.test:20"), "lo-sub.test": mx("mail.localhost:10"), "lo-backup.test": mx("public.test:5", "localhost:10", "relay.test:20"),
	}
	want := map[string]string{
		"mixed.test": "mixed.test[192.0.2.7]:25", "half.test": "public.test[192.0.2.1]:25", "spare.test": "public.test[192.0.2.1]:25",
		"behind.test": dsn.LoopDetected.String(), "later.test": dsn.RoutingFailed.String(), "wait.test": dsn.RoutingFailed.String(),
		"[192.0.2.1]": "192.0.2.1[192.0.2.1]:25", "inside.test": "inside-mx.test[10.9.9.9]:25", "[10.9.1.1]": "10.9.1.1[10.9.1.1]:25",
		"relay.test": dsn.Unroutable.String(), "us.test": dsn.LoopDetected.String(), "us.test:26": "us.test[203.0.113.5]:26",
		"of-mx0-5004006.test:2526": "mx0-5004006.test[127.0.0.1]:2526",
		"of-mx0-5004006.test:2525": dsn.LoopDetected.String(),
		"203.0.113.255":            dsn.LoopDetected.String(),
		"lo.test":                  dsn.LoopDetected.String(), "lo-sub.test": dsn.LoopDetected.String(), "lo-backup.test": "public.test[192.0.2.1]:25",
	}
	for list, status := range map[string]dsn.Status{
		"127.0.0.1 127.0.0.77 127.255.255.254 0.0.0.0 :: ::1 ::ffff:127.0.0.1 ::ffff:0.0.0.0 ::7f00:1 64:ff9b::7f00:1 2002:7f00:1::1 198.51.100.9": dsn.LoopDetected,
		"10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 fd00::1 169.254.0.1 fe80::1 224.0.0.1 255.255.255.255 240.0.0.1 ff02::1 ::a00:1 2002:a00:1::":  dsn.Unroutable,
	} {
		for i, ip := range strings.Fields(list) {
			host := fmt.Sprintf("mx%d-%d.test", i, status)
			names[host], names["of-"+host] = a(ip), mx(host+":10")
			want["of-"+host], want[host] = status.String(), status.String()
			literal := "[" + ip + "]"
			if strings.Contains(ip, ":") {
				literal = "[IPv6:" + ip + "]"
			}
			want[literal] = status.String()
		}
	}
	for i := range 30 { // the order of exchangers of one preference is random
		name := fmt.Sprintf("beside%d.test", i)
		names[name], want[name] = mx("public.test:10", "self-mx.test:10"), dsn.LoopDetected.String()
	}
	r := newRig(t, 25, names, func(c *configs.SMTP, o *Options) {
		c.OwnAddresses, c.PrivateNetworks = []string{"198.51.100.9"}, []string{"10.9.0.0/16"}
		o.Host = testHost(t, *c, []hostaddr.Listener{{Port: 25}, {Addr: netip.MustParseAddr("203.0.113.5"), Port: 2525}})
	})
	for nexthop, want := range want {
		if got := r.agent.find(t, nexthop); got != want {
			t.Errorf("%s (%v): %s, want %s", nexthop, names[strings.TrimPrefix(nexthop, "of-")].Addrs, got, want)
		}
	}
	// What the operator wrote may be anywhere but at one of our own listeners.
	for relayhost, want := range map[string]string{
		"relay.test": "relay.test[10.0.0.1]:25", "[127.0.0.1]:10025": "127.0.0.1[127.0.0.1]:10025", "[10.0.0.1]": "10.0.0.1[10.0.0.1]:25",
		"[127.0.0.1]": dsn.LoopDetected.String(), "us.test": dsn.LoopDetected.String(), "[198.51.100.9]:587": "198.51.100.9[198.51.100.9]:587",
	} {
		r := newRig(t, 25, names, func(c *configs.SMTP, o *Options) {
			c.Relayhost, c.PrivateNetworks, c.OwnAddresses = relayhost, nil, []string{"198.51.100.9"}
			o.Host = testHost(t, *c, []hostaddr.Listener{{Port: 25}})
		})
		if got := r.agent.find(t, relayhost); got != want {
			t.Errorf("relayhost %s: %s, want %s", relayhost, got, want)
		}
	}
}

// find shows the targets of a nexthop, or the status of the failure.
func (a *Agent) find(t *testing.T, nexthop string) string {
	t.Helper()
	n, err := configs.ParseNexthop(nexthop)
	if err != nil {
		t.Fatal(err)
	}
	got, _, failed := a.targets(t.Context(), n)
	var words []string
	for _, g := range got {
		words = append(words, g.String())
	}
	if failed != nil {
		words = append(words, failed.Status.String())
	}
	return strings.Join(words, " ")
}

func TestEqualExchangersTakeTurns(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2525, map[string]dnstest.Name{
		"even.test": mx("a.test:10", "b.test:10", "c.test:20"), "a.test": a("192.0.2.1"), "b.test": a("192.0.2.2"), "c.test": a("192.0.2.3"),
	}, nil)
	var first []string
	for range 200 {
		got, _, failed := r.agent.targets(t.Context(), configs.Nexthop{Host: "even.test"})
		if failed != nil || len(got) != 3 || got[2].host != "c.test" {
			t.Fatalf("%v %v", got, failed)
		}
		if first = append(first, got[0].host); slices.Contains(first, "a.test") && slices.Contains(first, "b.test") {
			return
		}
	}
	t.Error("always the same one first")
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	for protocols, want := range map[configs.Network]string{configs.IPv4: "192.0.2.1", configs.IPv6: "2001:db8::1"} {
		r := newRig(t, 2525, map[string]dnstest.Name{"a.test": a("192.0.2.1", "2001:db8::1")}, func(c *configs.SMTP, _ *Options) { c.Protocols = protocols })
		got, _, failed := r.agent.targets(t.Context(), configs.Nexthop{Host: "a.test"})
		if failed != nil || len(got) != 1 || got[0].addr.Addr().String() != want {
			t.Errorf("%d: %v %v", protocols, got, failed)
		}
	}
}

func TestASilentNameServerIsTemporaryAndCanBeInterrupted(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2525, map[string]dnstest.Name{"slow.test": {Silent: true}}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, _, failed := r.agent.targets(ctx, configs.Nexthop{Host: "slow.test"})
	if failed == nil || failed.Status != dsn.RoutingFailed {
		t.Errorf("%v", failed)
	}
	if took := time.Since(start); took > 4*time.Second { // a question alone has five
		t.Errorf("took %v", took)
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	p, err := parsePasswords("# c\n\n[relay.test]:587\tuser@x:pa:ss word\nother.test o:\n")
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := p.find("[relay.test]:587", configs.Nexthop{Host: "relay.test", Port: 587, Direct: true}); !ok || c.user != "user@x" || c.password != "pa:ss word" {
		t.Error("the nexthop as written")
	}
	if _, ok := p.find("[other.test]:26", configs.Nexthop{Host: "other.test", Port: 26, Direct: true}); !ok {
		t.Error("the host alone")
	}
	if _, ok := p.find("[relay.test]:25", configs.Nexthop{Host: "relay.test", Port: 25, Direct: true}); ok {
		t.Error("another port")
	}
	for _, bad := range []string{"x\n", "x y\n", "x :y\n", "a b:c\nx y\x00z:\n"} {
		if _, err := parsePasswords(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func FuzzNexthop(f *testing.F) {
	for _, s := range []string{"a.test", "[a.test]:25", "[IPv6:::1]", "[", "a:b", "[]", ":", "[::1]:0", "[fe80::1%eth0]:25", "[::%%.11\x9d11 \x00]", "[::1%a b]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := configs.ParseNexthop(s)
		if err == nil && (n.Host == "" || strings.ContainsAny(n.Host, " \r\n")) {
			t.Errorf("%q: %+v", s, n)
		}
	})
}
