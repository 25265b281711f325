package service

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
)

// TestPlacesAreKeptForTrustedClients: strangers cannot take the last ones.
func TestPlacesAreKeptForTrustedClients(t *testing.T) {
	t.Parallel()
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	r := run(t, &Server{Handler: handlerFunc(echo), Limits: Limits{Connections: 3, Reserved: 2, Trusted: local, DrainTimeout: time.Minute}, Busy: "421 busy\r\n"})
	for i, c := range []struct{ from, want string }{
		{"127.0.0.1", "x\r\n"}, {"127.0.0.1", "421 busy\r\n"}, {"127.0.0.2", "x\r\n"}, {"127.0.0.2", "x\r\n"}, {"127.0.0.2", "421 busy\r\n"},
	} {
		nc := r.dialFrom(c.from)
		if c.want == "x\r\n" {
			if got := ask(t, nc, "x\r\n"); got != c.want {
				t.Errorf("client %d from %s: %q", i, c.from, got)
			}
		} else if got := read(t, nc); got != c.want {
			t.Errorf("client %d from %s: %q", i, c.from, got)
		}
	}
	r.finish()
}

// dialFrom connects from another address of loopback.
func (r *running) dialFrom(ip string) net.Conn {
	r.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	c, err := d.Dial("tcp", r.Listeners[0].Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestStressBeginsAndEnds and is told to strangers, old and new, and to nobody
// else.
func TestStressBeginsAndEnds(t *testing.T) {
	t.Parallel()
	var stressed atomic.Int64
	handler := func(ctx context.Context, c net.Conn) {
		on := false
		OnStress(ctx, func(now bool) {
			if now != on {
				on = now
				stressed.Add(map[bool]int64{true: 1, false: -1}[now])
			}
		})
		echo(ctx, c)
	}
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	r := run(t, &Server{Handler: handlerFunc(handler), Limits: Limits{Stress: 4, Trusted: local, DrainTimeout: time.Minute}})
	var open []net.Conn
	connect := func(from string) {
		c := r.dialFrom(from)
		ask(t, c, "x\r\n")
		open = append(open, c)
	}
	connect("127.0.0.2")
	for range 3 {
		connect("127.0.0.1")
	}
	if n := stressed.Load(); n != 0 {
		t.Errorf("%d under stress too early", n)
	}
	connect("127.0.0.1")
	waitFor(t, func() bool { return stressed.Load() == 4 })
	connect("127.0.0.1") // a new one is told, too
	waitFor(t, func() bool { return stressed.Load() == 5 })
	_ = open[1].Close()
	waitFor(t, func() bool { return r.Sessions() == 5 })
	if !strings.Contains(r.log.String(), "msg=stress ") || strings.Contains(r.log.String(), "stress is over") {
		t.Errorf("it ended with the first: %s", r.log.String())
	}
	_ = open[2].Close()
	waitFor(t, func() bool { return strings.Contains(r.log.String(), "stress is over") })
	if n := strings.Count(r.log.String(), "msg=stress "); n != 1 {
		t.Errorf("%d lines", n)
	}
	r.finish()
}

// TestTurnedAwayClientsDoNotFillTheLog: the 1st, 10th, 100th ... has a line.
func TestTurnedAwayClientsDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	r := run(t, &Server{
		Handler: handlerFunc(echo), Limits: Limits{DrainTimeout: time.Minute}, Busy: "421 busy\r\n",
		Counter: anvil.New(anvil.Options{Unit: time.Hour, Clock: clock.System{}}),
		Admit:   func(netip.Addr) *dsn.Error { return dsn.New(dsn.TooManyConnections, "not now") },
	})
	for range 150 {
		if got := read(t, r.dial()); got != "421 busy\r\n" {
			t.Fatalf("%q", got)
		}
	}
	r.finish()
	text := r.log.String()
	if n := strings.Count(text, "msg=reject "); n != 3 || !strings.Contains(text, "not now (100 times now)") {
		t.Errorf("%d lines: %s", n, text)
	}
}

// TestFilesAreShared by the services of a process.
func TestFilesAreShared(t *testing.T) {
	t.Parallel()
	files := NewFiles(5)
	limits := Limits{Files: files, Cost: 2, DrainTimeout: time.Minute}
	one := run(t, &Server{Handler: handlerFunc(echo), Limits: limits, Busy: "421 busy\r\n"})
	two := run(t, &Server{Handler: handlerFunc(echo), Limits: limits, Busy: "421 busy\r\n"})
	first := one.dial()
	ask(t, first, "x\r\n")
	ask(t, two.dial(), "x\r\n")
	if got := read(t, one.dial()); got != "421 busy\r\n" {
		t.Errorf("%q", got)
	}
	_ = first.Close()
	waitFor(t, func() bool { return one.Sessions() == 0 })
	if got := ask(t, two.dial(), "y\r\n"); got != "y\r\n" {
		t.Errorf("the descriptors were not given back: %q", got)
	}
	one.finish()
	two.finish()
	if !strings.Contains(one.log.String(), "too many open files") {
		t.Errorf("log: %s", one.log.String())
	}
	if left := files.left.Load(); left != 5 {
		t.Errorf("%d left", left)
	}
}

func TestMilestones(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]bool{0: true, 1: true, 2: false, 9: false, 10: true, 11: false, 20: false, 99: false, 100: true, 110: false, 1000: true, 1001: false} {
		if milestone(n) != want {
			t.Errorf("%d", n)
		}
	}
}
