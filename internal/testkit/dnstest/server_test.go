package dnstest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func resolver(s *Server) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, s.Addr)
		if err == nil {
			context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
		}
		return c, err
	}}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	s := Start(t, map[string]Name{
		"example.test":    {MX: []net.MX{{Host: "mx.example.test", Pref: 10}}},
		"mx.example.test": {Addrs: []string{"192.0.2.1", "2001:db8::1"}},
		"big.test":        {Addrs: []string{"192.0.2.7"}, Truncate: true},
		"www.test":        {CNAME: "mx.example.test"},
		"null.test":       {MX: []net.MX{{Host: "."}}},
		"broken.test":     {Fail: true},
	})
	r := resolver(s)
	mx, err := r.LookupMX(t.Context(), "example.test.")
	if err != nil || len(mx) != 1 || mx[0].Host != "mx.example.test." || mx[0].Pref != 10 {
		t.Errorf("MX: %v %v", mx, err)
	}
	mx, err = r.LookupMX(t.Context(), "null.test.")
	if err != nil || len(mx) != 1 || mx[0].Host != "." {
		t.Errorf("null MX: %v %v", mx, err)
	}
	for _, name := range []string{"mx.example.test.", "www.test."} {
		ips, err := r.LookupNetIP(t.Context(), "ip", name)
		if err != nil || len(ips) != 2 {
			t.Errorf("%s: %v %v", name, ips, err)
		}
	}
	ips, err := r.LookupNetIP(t.Context(), "ip4", "big.test.")
	if err != nil || len(ips) != 1 || ips[0] != netip.MustParseAddr("192.0.2.7") {
		t.Errorf("over TCP: %v %v", ips, err)
	}
	var trouble *net.DNSError
	if _, err := r.LookupMX(t.Context(), "nowhere.test."); !errors.As(err, &trouble) || !trouble.IsNotFound {
		t.Errorf("NXDOMAIN: %v", err)
	}
	if _, err := r.LookupMX(t.Context(), "broken.test."); !errors.As(err, &trouble) || trouble.IsNotFound || !trouble.IsTemporary {
		t.Errorf("SERVFAIL: %v", err)
	}
	if s.Queries("EXAMPLE.test", "MX") != 1 {
		t.Error("queries are not counted")
	}
}

func TestSilence(t *testing.T) {
	t.Parallel()
	s := Start(t, map[string]Name{"slow.test": {Silent: true}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := resolver(s).LookupMX(ctx, "slow.test.")
		done <- err
	}()
	for s.Queries("slow.test", "MX") == 0 {
		select {
		case err := <-done:
			t.Fatalf("answered: %v", err)
		default:
		}
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("silence was an answer")
	}
}
