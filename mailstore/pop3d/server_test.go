package pop3d

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/directory/gate"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/login"
	"toastmaster/mailstore/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is a POP3 server with all that belongs to it.
type host struct {
	*storetest.Server
	t      testing.TB
	config *configs.Config
	store  *mailstore.Store
	gate   *login.Gate
}

// newHost runs a server. change may adjust the configuration or the gate.
func newHost(t testing.TB, change func(h *host)) *host {
	t.Helper()
	return newHostOn(t, vfs.OS{}, change)
}

// newHostOn is newHost with a file system that may fail.
func newHostOn(t testing.TB, fs vfs.FS, change func(h *host)) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{t: t, config: configs.Default()}
	h.config.POP3D.DrainTimeout = time.Minute
	store, err := mailstore.Open(t.Context(), mailstore.Options{
		Root: filepath.Join(dir, "mail"), FS: fs, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "pop.test", Store: h.config.Store,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.store = store
	t.Cleanup(h.closeStore) // after the server's
	h.gate = &login.Gate{
		Gate: gate.Gate{
			Service: "pop3d", Authenticate: storetest.Authenticator(t, h.config).Authenticate, SecureNetworks: gate.Loopback(),
			MaxFailures: 3, Log: msglog.Discard(),
		},
		Open: store.Session, TLS: storetest.Certificates(t, dir, "pop.test"), Timeout: time.Minute, HandshakeTimeout: time.Minute,
	}
	if change != nil {
		change(h)
	}
	handler, err := New(Options{Config: h.config.POP3D, Hostname: "pop.test", Gate: h.gate, Log: msglog.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	h.Server = storetest.Start(t, &service.Server{
		ServiceName: "pop3d", Handler: handler, Busy: Busy, Log: msglog.Discard(), Clock: clock.System{},
		Limits: service.Limits{DrainTimeout: h.config.POP3D.DrainTimeout, HandshakeTimeout: time.Minute},
	}, h.gate.TLS)
	return h
}

// closeStore closes the store, once.
func (h *host) closeStore() {
	if h.store == nil {
		return
	}
	if err := h.store.Close(); err != nil {
		h.t.Error(err)
	}
	h.store = nil
}

func (h *host) deliver(name string, messages ...string) {
	h.t.Helper()
	for _, m := range messages {
		err := h.store.Deliver(h.t.Context(), storetest.Account(h.t, name), &mailstore.Delivery{Date: time.Unix(1e9, 0), Content: envelope.Memory(m)})
		if err != nil {
			h.t.Fatal(err)
		}
	}
}

// open is a view of somebody's INBOX, to look at and to change behind the
// server's back.
func (h *host) open(name string) *mailstore.View {
	h.t.Helper()
	user, err := h.store.User(h.t.Context(), storetest.Account(h.t, name))
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
