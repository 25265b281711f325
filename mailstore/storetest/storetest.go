package storetest

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/password"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/tlsconf"
	"toastmaster/mailstore"
)

// Password is everybody's.
const Password = "secret word"

// Authenticator lets the three users in. Loopback is trusted.
func Authenticator(t testing.TB, c *configs.Config) *password.Authenticator {
	t.Helper()
	var accounts []directory.Account
	for _, name := range []string{"alice@example.test", "bob@example.test", "carol@example.test"} {
		accounts = append(accounts, static.Box(name, "{PLAIN}"+Password))
	}
	hosted, err := static.New(static.Data{Domains: static.Hosted("example.test"), Accounts: accounts})
	if err != nil {
		t.Fatal(err)
	}
	return password.New(password.Options{
		Directory: hosted, Params: c.Auth, Log: msglog.Discard(), Clock: clock.System{},
		Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
}

// Account is a user's, by the name before the "@".
func Account(t testing.TB, name string) mailstore.Account {
	t.Helper()
	a, err := addr.Parse(name + "@example.test")
	if err != nil {
		t.Fatal(err)
	}
	return mailstore.Account{Address: a, Home: "example.test/" + name}
}

// Certificates makes a certificate for hostname in dir and what serves it.
func Certificates(t testing.TB, dir, hostname string) *tls.Config {
	t.Helper()
	pair := tlsconf.Pair{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	if err := tlsconf.SelfSigned(pair, hostname, time.Now()); err != nil {
		t.Fatal(err)
	}
	c, err := tlsconf.Load(tlsconf.Options{Pairs: []tlsconf.Pair{pair}, Log: msglog.Discard(), Clock: clock.System{}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Config()
}

// Server is a server that runs. It belongs to the test's goroutine.
type Server struct {
	*service.Server
	t    testing.TB
	stop context.CancelFunc
	done chan error
}

// Start gives s two listeners, 0 without and 1 with TLS from the first octet,
// and runs it until Finish or the end of the test.
func Start(t testing.TB, s *service.Server, implicit *tls.Config) *Server {
	t.Helper()
	for _, config := range []*tls.Config{nil, implicit} {
		l, err := service.Listen("127.0.0.1:0", 0)
		if err != nil {
			t.Fatal(err)
		}
		s.Listeners = append(s.Listeners, service.Listener{Listener: l, TLS: config})
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &Server{Server: s, t: t, stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.Run(ctx) }()
	<-s.Ready()
	t.Cleanup(r.Finish)
	return r
}

// Finish drains the server; it may be called again.
func (r *Server) Finish() {
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Error(err)
		}
	case <-time.After(time.Minute):
		r.t.Error("the server does not end")
	}
}

// Dial connects to a listener.
func (r *Server) Dial(listener int) net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.Listeners[listener].Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}
