package pop3d

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/password"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/tlsconf"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/login"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is a POP3 server with all that belongs to it.
type host struct {
	t      testing.TB
	config *configs.Config
	store  *mailstore.Store
	gate   *login.Gate
	server *service.Server
	stop   context.CancelFunc
	done   chan error
}

// newHost runs a server. change may adjust the configuration or the gate.
func newHost(t testing.TB, change func(h *host)) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{t: t, config: configs.Default(), done: make(chan error, 1)}
	h.config.POP3D.DrainTimeout = time.Minute
	store, err := mailstore.Open(t.Context(), mailstore.Options{
		Root: filepath.Join(dir, "mail"), FS: vfs.OS{}, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "pop.test", Store: h.config.Store,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.store = store
	h.gate = &login.Gate{
		Service: "pop3d", Authenticate: authenticator(t, h.config).Authenticate, Open: store.User, TLS: certificates(t, dir),
		SecureNetworks: login.Loopback(), Timeout: time.Minute, HandshakeTimeout: 10 * time.Second, MaxFailures: 3, Log: msglog.Discard(),
	}
	if change != nil {
		change(h)
	}
	handler, err := New(Options{Config: h.config.POP3D, Hostname: "pop.test", Gate: h.gate, Log: msglog.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	h.serve(handler)
	t.Cleanup(func() {
		h.finish()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func authenticator(t testing.TB, c *configs.Config) *password.Authenticator {
	t.Helper()
	var accounts []directory.Account
	for _, name := range []string{"alice@example.test", "bob@example.test", "carol@example.test"} {
		accounts = append(accounts, static.Box(name, "{PLAIN}secret word"))
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

func certificates(t testing.TB, dir string) *tls.Config {
	t.Helper()
	pair := tlsconf.Pair{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	if err := tlsconf.SelfSigned(pair, "pop.test", time.Now()); err != nil {
		t.Fatal(err)
	}
	c, err := tlsconf.Load(tlsconf.Options{Pairs: []tlsconf.Pair{pair}, Log: msglog.Discard(), Clock: clock.System{}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Config()
}

func (h *host) serve(handler *Handler) {
	h.t.Helper()
	plain, err := service.Listen("127.0.0.1:0", 0)
	if err != nil {
		h.t.Fatal(err)
	}
	implicit, err := service.Listen("127.0.0.1:0", 0)
	if err != nil {
		h.t.Fatal(err)
	}
	h.server = &service.Server{
		ServiceName: "pop3d", Handler: handler, Busy: Busy, Log: msglog.Discard(), Clock: clock.System{},
		Listeners: []service.Listener{{Listener: plain}, {Listener: implicit, TLS: h.gate.TLS}},
		Limits:    service.Limits{DrainTimeout: h.config.POP3D.DrainTimeout, HandshakeTimeout: 10 * time.Second},
	}
	ctx, cancel := context.WithCancel(h.t.Context())
	h.stop = cancel
	go func() { h.done <- h.server.Run(ctx) }()
	<-h.server.Ready()
}

// finish drains the server; it may be called again.
func (h *host) finish() {
	if h.stop == nil {
		return
	}
	h.stop()
	h.stop = nil
	select {
	case err := <-h.done:
		if err != nil {
			h.t.Error(err)
		}
	case <-time.After(20 * time.Second):
		h.t.Error("the server does not end")
	}
}

// dial connects to a listener: 0 is plain, 1 implicit TLS.
func (h *host) dial(listener int) net.Conn {
	h.t.Helper()
	c, err := net.Dial("tcp", h.server.Listeners[listener].Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	return c
}

func account(t testing.TB, name string) mailstore.Account {
	t.Helper()
	a, err := addr.Parse(name + "@example.test")
	if err != nil {
		t.Fatal(err)
	}
	return mailstore.Account{Address: a, Home: "example.test/" + name}
}

func (h *host) deliver(name string, messages ...string) {
	h.t.Helper()
	for _, m := range messages {
		err := h.store.Deliver(h.t.Context(), account(h.t, name), &mailstore.Delivery{Date: time.Unix(1e9, 0), Content: envelope.Memory(m)})
		if err != nil {
			h.t.Fatal(err)
		}
	}
}

// open is a view of somebody's INBOX, to look at and to change behind the
// server's back.
func (h *host) open(name string) *mailstore.View {
	h.t.Helper()
	user, err := h.store.User(h.t.Context(), account(h.t, name))
	if err != nil {
		h.t.Fatal(err)
	}
	view, err := user.Open(h.t.Context(), "INBOX", false)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := errors.Join(view.Close(), user.Close()); err != nil {
			h.t.Error(err)
		}
	})
	return view
}

// The messages of the dialogues.
const (
	first  = "From: a@example.test\nSubject: first\n\nline 1\n.line 2\n..\n.\nline 5\n"
	second = "Subject: second\n\nno line end"
	third  = "Subject: no body\n"
)

func big(size int) string {
	line := bytes.Repeat([]byte("x"), 75)
	b := bytes.NewBufferString("Subject: big\n\n")
	for b.Len() < size {
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}
