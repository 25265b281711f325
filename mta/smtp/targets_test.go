package smtp

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
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
		"[me.test]":      "me.test[198.51.100.9]:2525",
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
		n, err := configs.ParseNexthop(nexthop)
		if err != nil {
			t.Errorf("%s: %v", nexthop, err)
			continue
		}
		got, failed := r.agent.targets(t.Context(), n)
		var words []string
		for _, g := range got {
			words = append(words, g.String())
		}
		if failed != nil {
			words = append(words, failed.Status.String())
		}
		if s := strings.Join(words, " "); s != want {
			t.Errorf("%s: %s, want %s", nexthop, s, want)
		}
	}
	got, failed := r.agent.targets(t.Context(), configs.Nexthop{Host: "big.test"})
	if failed != nil || len(got) != 5 || got[0].addr.Addr().Is4() || !got[1].addr.Addr().Is4() {
		t.Errorf("%v %v", got, failed)
	}
}

func TestEqualExchangersTakeTurns(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2525, map[string]dnstest.Name{
		"even.test": mx("a.test:10", "b.test:10", "c.test:20"), "a.test": a("192.0.2.1"), "b.test": a("192.0.2.2"), "c.test": a("192.0.2.3"),
	}, nil)
	var first []string
	for range 200 {
		got, failed := r.agent.targets(t.Context(), configs.Nexthop{Host: "even.test"})
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
	for protocols, want := range map[string]string{"ipv4": "192.0.2.1", "ipv6": "2001:db8::1"} {
		r := newRig(t, 2525, map[string]dnstest.Name{"a.test": a("192.0.2.1", "2001:db8::1")}, func(c *configs.SMTP, _ *Options) { c.Protocols = protocols })
		got, failed := r.agent.targets(t.Context(), configs.Nexthop{Host: "a.test"})
		if failed != nil || len(got) != 1 || got[0].addr.Addr().String() != want {
			t.Errorf("%s: %v %v", protocols, got, failed)
		}
	}
}

func TestASilentNameServerIsTemporaryAndCanBeInterrupted(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2525, map[string]dnstest.Name{"slow.test": {Silent: true}}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, failed := r.agent.targets(ctx, configs.Nexthop{Host: "slow.test"})
	if failed == nil || failed.Status != dsn.RoutingFailed {
		t.Errorf("%v", failed)
	}
	if took := time.Since(start); took > 2*time.Second {
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
	for _, s := range []string{"a.test", "[a.test]:25", "[IPv6:::1]", "[", "a:b", "[]", ":", "[::1]:0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := configs.ParseNexthop(s)
		if err == nil && (n.Host == "" || strings.ContainsAny(n.Host, " \r\n")) {
			t.Errorf("%q: %+v", s, n)
		}
	})
}
