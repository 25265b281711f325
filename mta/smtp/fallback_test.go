package smtp

import (
	"net/netip"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/hostaddr"
	"toastmaster/internal/testkit/dnstest"
)

// TestFallbackRelay: it gets what is not found or not reached, and nothing else.
func TestFallbackRelay(t *testing.T) {
	t.Parallel()
	const relay, down, gone, us = "relay", "down", "[gone.test]", "us"
	for name, c := range map[string]struct {
		nexthop  string
		fallback []string
		answers  map[string][]string // of the destination
		want     dsn.Status
		relayed  bool
	}{
		"delivered":                 {"up.test", []string{relay}, nil, dsn.OK, false},
		"not found":                 {"nowhere.test", []string{relay}, nil, dsn.OK, true},
		"no answer of DNS":          {"broken.test", []string{relay}, nil, dsn.OK, true},
		"not reached":               {down, []string{relay}, nil, dsn.OK, true},
		"the second one":            {down, []string{down, gone, us, relay}, nil, dsn.OK, true},
		"lost before the content":   {"up.test", []string{relay}, map[string][]string{"MAIL": {"drop"}}, dsn.OK, true},
		"not wanted at the door":    {"up.test", []string{relay}, map[string][]string{"EHLO": {"421 4.3.2 busy"}}, dsn.OK, true},
		"refused":                   {"up.test", []string{relay}, map[string][]string{"RCPT": {"550 5.1.1 who"}}, dsn.BadDestMailbox, false},
		"refused for now":           {"up.test", []string{relay}, map[string][]string{"RCPT": {"450 4.2.0 later"}}, dsn.Make(4, 2, 0), false},
		"lost behind the final dot": {"up.test", []string{relay}, map[string][]string{"<data>": {"drop"}}, dsn.BadConnection, false},
		"null MX":                   {"null.test", []string{relay}, nil, dsn.NullMX, false},
		"a private network":         {"inside.test", []string{relay}, nil, dsn.Unroutable, false},
		"we are the best MX":        {"best.test", []string{relay}, nil, dsn.LoopDetected, false},
		"we are an MX":              {"backup.test", []string{relay}, nil, dsn.NoAnswer, false},
		"we are an MX, by address":  {"address.test", []string{relay}, nil, dsn.NoAnswer, false},
		"it greets as we do":        {"mirror.test", []string{relay}, nil, dsn.LoopDetected, false},
		"the fallback is not found": {"nowhere.test", []string{gone}, nil, dsn.Make(4, 4, 4), false},
		"the fallback is ourselves": {"nowhere.test", []string{us}, nil, dsn.Make(4, 4, 6), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, "127.0.0.1:0")
			for k, v := range c.answers {
				p.answers[k] = v
			}
			if c.nexthop == "mirror.test" {
				p.greeting = "220 mail.example.test ESMTP"
			}
			p.start()
			relayAt, q := newPeer(t, "127.0.0.1:0").start(), newPeer(t, "127.0.0.1:0").start() // q is one of our listeners
			names := map[string]dnstest.Name{
				"up.test": a("127.0.0.1"), "mirror.test": a("127.0.0.1"), "broken.test": {Fail: true}, "null.test": mx(".:0"), "inside.test": a("10.0.0.1"),
				"best.test": mx("mail.example.test:10", "up.test:20"), "backup.test": mx("dead.test:5", "mail.example.test:10"),
				"dead.test": a("127.0.0.9"), "address.test": mx("dead.test:5", "me.test:10"), "me.test": a("198.51.100.9"),
			}
			at := map[string]string{relay: relayAt.nexthop(), down: "[127.0.0.9]:" + itoa(silentPort(t)), us: q.nexthop()}
			r := newRig(t, p.port, names, func(s *configs.SMTP, o *Options) {
				for _, f := range c.fallback {
					if w := at[f]; w != "" {
						f = w
					}
					s.FallbackRelay = append(s.FallbackRelay, f)
				}
				s.OwnAddresses = []string{"198.51.100.9"}
				o.Host = testHost(t, *s, []hostaddr.Listener{{Addr: netip.MustParseAddr("127.0.0.1"), Port: uint16(q.port)}})
			})
			nexthop := c.nexthop
			if w := at[nexthop]; w != "" {
				nexthop = w
			}
			for range 2 {
				r.want(r.deliver(request(nexthop, hello, "a@remote.test")), c.want)
			}
			sessions, messages := relayAt.count()
			if c.relayed != (messages == 2) || c.relayed != (sessions == 1) {
				t.Errorf("the fallback relay had %d sessions with %d messages", sessions, messages)
			}
			if n, _ := q.count(); n > 0 {
				t.Errorf("%d connections to ourselves", n)
			}
			if _, n := p.count(); !c.relayed && c.want == dsn.OK && n != 2 {
				t.Error("not delivered")
			}
		})
	}
}
