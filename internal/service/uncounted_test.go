package service

import (
	"net/netip"
	"testing"

	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
)

// TestExceptionsHaveNoLimitOfConnections: who is exempt from the limits of a client is so from its connections at once; others
// are not.
func TestExceptionsHaveNoLimitOfConnections(t *testing.T) {
	t.Parallel()
	counter := anvil.New(anvil.Options{Clock: clock.System{}})
	s := &Server{
		ServiceName: "smtpd", Counter: counter, Log: msglog.Discard(), Clock: clock.System{},
		Limits: Limits{PerClient: 1, Uncounted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25")}},
	}
	s.begin()
	for _, c := range []struct {
		from string
		in   bool
	}{{"192.0.2.1", true}, {"192.0.2.1", true}, {"192.0.2.200", true}, {"192.0.2.200", false}} {
		e := s.enter(&session{client: netip.MustParseAddr(c.from)})
		if (e == nil) != c.in {
			t.Errorf("%s: %v", c.from, e)
		}
		if e != nil && e.Cause.Error() != "Connection concurrency limit exceeded: 2 for service smtpd" {
			t.Errorf("cause %v", e.Cause)
		}
	}
}
