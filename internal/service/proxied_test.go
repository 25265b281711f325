package service

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/internal/dsn"
)

// tell sends a header for a client in front of text.
func tell(client, text string) string {
	return "PROXY TCP4 " + client + " 192.0.2.25 4000 25\r\n" + text
}

// behind is a listener behind proxies of a network.
func behind(t *testing.T, network string) []Listener {
	return []Listener{{Listener: listen(t), Proxy: &Proxy{Networks: []netip.Prefix{netip.MustParsePrefix(network)}, Timeout: time.Minute}}}
}

// TestLimitsAreThoseOfTheToldClient: rate, connections of a client, trust and the networks that are served.
func TestLimitsAreThoseOfTheToldClient(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	who := func(ctx context.Context, c net.Conn) {
		_, _ = fmt.Fprintf(c, "%s to %s\r\n", c.RemoteAddr(), c.LocalAddr())
		echo(ctx, c)
	}
	r := run(t, &Server{
		Handler: handlerFunc(who), Busy: "421 busy\r\n", Denied: "421 denied\r\n",
		Limits: Limits{
			Connections: 10, PerClient: 1, DrainTimeout: time.Minute, Trusted: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
			Allowed: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24")},
		},
		Admit: func(client netip.Addr) *dsn.Error {
			if asked.Add(1); client == netip.MustParseAddr("192.0.2.66") {
				return dsn.New(dsn.TooManyConnections, "too fast")
			}
			return nil
		},
		Listeners: behind(t, "127.0.0.1/32"),
	})
	for _, c := range []struct{ header, want string }{
		{tell("192.0.2.7", ""), "192.0.2.7:4000 to 192.0.2.25:25\r\n"},
		{tell("192.0.2.7", ""), "421 busy\r\n"},
		{tell("192.0.2.8", ""), "192.0.2.8:4000 to 192.0.2.25:25\r\n"},
		{tell("192.0.2.66", ""), "421 busy\r\n"},
		{tell("198.51.100.1", ""), "198.51.100.1:4000 to 192.0.2.25:25\r\n"},
		{tell("198.51.100.1", ""), "198.51.100.1:4000 to 192.0.2.25:25\r\n"},
		{tell("203.0.113.1", ""), "421 denied\r\n"},
		{"EHLO client.test\r\n", ""},
	} {
		nc := r.dial()
		_, _ = io.WriteString(nc, c.header)
		if got := read(t, nc); got != c.want {
			t.Errorf("%q: %q, want %q", c.header, got, c.want)
		}
	}
	if got := read(t, r.dialFrom("127.0.0.2")); got != "" {
		t.Errorf("who is no proxy: %q", got)
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("%d clients were asked about", n)
	}
	waitFor(t, func() bool { // the connection is closed before the line is written
		log := r.log.String()
		return strings.Contains(log, "msg=haproxy") && strings.Contains(log, "client=127.0.0.2") && strings.Contains(log, "main.haproxy_trusted_networks")
	})
	r.finish()
}

// TestASilentProxyDoesNotHoldTheDrain.
func TestASilentProxyDoesNotHoldTheDrain(t *testing.T) {
	t.Parallel()
	r := run(t, &Server{Handler: handlerFunc(echo), Limits: Limits{DrainTimeout: time.Hour}, Listeners: behind(t, "127.0.0.0/8")})
	r.dial()
	waitFor(t, func() bool { return r.Sessions() == 1 })
	r.finish()
}
