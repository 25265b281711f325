package imapd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is an IMAP server on the real store with all that belongs to it.
type host struct {
	*storetest.Server
	t       testing.TB
	config  *configs.Config
	store   *mailstore.Store
	root    string // of the store
	tls     *tls.Config
	handler *Server
	fs      vfs.FS
	// shared: there are the namespaces of storetest.
	shared bool
	// outside: loopback does not count as secure.
	outside bool
	// started sees the handler before its first connection.
	started func(*Server)
}

// newHost runs a server. change may adjust the configuration.
func newHost(t testing.TB, change func(h *host)) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{t: t, config: configs.Default(), fs: vfs.OS{}, tls: storetest.Certificates(t, dir, "imap.test")}
	h.config.IMAPD.DrainTimeout = time.Minute
	h.config.IMAPD.MaxUserIP = 0
	if change != nil {
		change(h)
	}
	h.root = filepath.Join(dir, "mail")
	o := mailstore.Options{
		Root: h.root, FS: h.fs, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "imap.test", Store: h.config.Store,
	}
	if h.shared {
		o.Namespaces = storetest.Namespaces(t)
	}
	store, err := mailstore.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	h.store = store
	t.Cleanup(func() { // after the server's
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	h.handler = New(Options{
		Config: h.config.IMAPD, Store: store, Auth: storetest.Authenticator(t, h.config), TLS: h.tls, HandshakeTimeout: time.Minute,
		Hostname: "imap.test", Log: msglog.Discard(), Clock: clock.System{},
	})
	if h.outside {
		h.handler.gate.SecureNetworks = nil
	}
	if h.started != nil {
		h.started(h.handler)
	}
	h.Server = storetest.Start(t, &service.Server{
		ServiceName: "imapd", Handler: h.handler, Busy: Busy, Log: msglog.Discard(), Clock: clock.System{},
		Limits: service.Limits{DrainTimeout: h.config.IMAPD.DrainTimeout, HandshakeTimeout: time.Minute},
	}, h.tls)
	return h
}

// deliver stores messages in somebody's INBOX, an hour apart.
func (h *host) deliver(name string, messages ...string) {
	h.t.Helper()
	for i, m := range messages {
		date := time.Date(2026, 1, 2, 3+i, 4, 5, 0, time.UTC)
		err := h.store.Deliver(h.t.Context(), storetest.Account(h.t, name), &mailstore.Delivery{Date: date, Content: envelope.Memory(m)})
		if err != nil {
			h.t.Fatal(err)
		}
	}
}

// setFlags changes flags behind the server's back.
func (h *host) behind(name string, change func(v *mailstore.View) error) {
	h.t.Helper()
	ctx := h.t.Context()
	user, err := h.store.User(ctx, storetest.Account(h.t, name))
	if err != nil {
		h.t.Fatal(err)
	}
	view, err := user.Open(ctx, "INBOX", false)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := errors.Join(change(view), view.Close(), user.Close()); err != nil {
		h.t.Fatal(err)
	}
}

func addFlags(seq uint32, flags ...imap.Flag) func(v *mailstore.View) error {
	return func(v *mailstore.View) error {
		_, err := v.SetFlags(context.Background(), []uint32{seq}, mailstore.FlagsAdd, flags, 0)
		return err
	}
}

func expungeOne(seq uint32) func(v *mailstore.View) error {
	return func(v *mailstore.View) error { return v.Expunge(context.Background(), []uint32{seq}) }
}

// client speaks IMAP for tests, octet by octet.
type client struct {
	t testing.TB
	net.Conn
	r   *bufio.Reader
	tag int
}

func (h *host) client(listener int) *client {
	h.t.Helper()
	conn := h.Dial(listener)
	if listener == 1 {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	c := &client{t: h.t, Conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
	c.expect("* OK [CAPABILITY IMAP4rev1 ")
	return c
}

// login is a client that has logged in; with a mailbox it has selected it.
func (h *host) login(name, mailbox string) *client {
	h.t.Helper()
	c := h.client(0)
	c.ok("LOGIN " + name + "@example.test \"secret word\"")
	if mailbox != "" {
		c.ok("SELECT " + mailbox)
	}
	return c
}

// waitTime bounds each single wait of a client; a long dialogue takes its time.
const waitTime = time.Minute

func (c *client) send(text string) {
	c.t.Helper()
	_ = c.SetDeadline(time.Now().Add(waitTime))
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) line() string {
	c.t.Helper()
	_ = c.SetDeadline(time.Now().Add(waitTime))
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%q %v", line, err)
	}
	if !strings.HasSuffix(line, "\r\n") {
		c.t.Fatalf("line without CR: %q", line)
	}
	return strings.TrimSuffix(line, "\r\n")
}

func (c *client) expect(prefix string) string {
	c.t.Helper()
	line := c.line()
	if !strings.HasPrefix(line, prefix) {
		c.t.Fatalf("got %q, want %q", line, prefix)
	}
	return line
}

// response reads one response with its literals.
func (c *client) response() string {
	c.t.Helper()
	var b strings.Builder
	for {
		line := c.line()
		b.WriteString(line)
		lit, _ := literalAt([]byte(line))
		if !lit.pending {
			return b.String()
		}
		b.WriteString("\r\n")
		if _, err := io.CopyN(&b, c.r, lit.size); err != nil {
			c.t.Fatal(err)
		}
	}
}

// run sends a command and returns the untagged responses and the tagged one
// without its tag.
func (c *client) run(command string) (untagged []string, tagged string) {
	c.t.Helper()
	c.tag++
	tag := fmt.Sprintf("t%d", c.tag)
	c.send(tag + " " + command + "\r\n")
	for {
		r := c.response()
		if rest, ok := strings.CutPrefix(r, tag+" "); ok {
			return untagged, rest
		}
		untagged = append(untagged, r)
	}
}

func (c *client) ok(command string) []string {
	c.t.Helper()
	untagged, tagged := c.run(command)
	if !strings.HasPrefix(tagged, "OK ") {
		c.t.Fatalf("%s: %s", command, tagged)
	}
	return untagged
}

// answers checks that a command is answered with these untagged responses.
func (c *client) answers(command string, want ...string) {
	c.t.Helper()
	got := c.ok(command)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		c.t.Fatalf("%s:\ngot  %q\nwant %q", command, got, want)
	}
}

// refused checks the tagged answer to a command that is refused.
func (c *client) refused(command, prefix string) {
	c.t.Helper()
	if _, tagged := c.run(command); !strings.HasPrefix(tagged, prefix) {
		c.t.Fatalf("%s: got %q, want %q", command, tagged, prefix)
	}
}
