package service

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type handlerFunc func(ctx context.Context, c net.Conn)

func (f handlerFunc) ServeConn(ctx context.Context, c net.Conn) { f(ctx, c) }

// running is a server under test.
type running struct {
	*Server
	t    *testing.T
	stop context.CancelFunc
	done chan error
	log  *logtest.Buffer
}

func run(t *testing.T, s *Server) *running {
	t.Helper()
	r := &running{Server: s, t: t, done: make(chan error, 1), log: &logtest.Buffer{}}
	if len(s.Listeners) == 0 {
		s.Listeners = []Listener{{Listener: listen(t)}}
	}
	s.ServiceName, s.Clock, s.Log = "test", clock.System{}, msglog.New(slog.NewTextHandler(r.log, nil))
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() { r.done <- s.Run(ctx) }()
	<-s.Ready()
	t.Cleanup(cancel)
	return r
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := Listen("127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (r *running) dial() net.Conn {
	r.t.Helper()
	a := r.Listeners[0].Addr()
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		r.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// finish stops the server and expects an orderly end.
func (r *running) finish() {
	r.t.Helper()
	r.stop()
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Error(err)
		}
	case <-time.After(time.Minute):
		r.t.Fatal("Run did not return")
	}
}

// echo answers each line; it says goodbye when the server drains.
func echo(ctx context.Context, c net.Conn) {
	w := wire.NewConn(c, nil)
	OnDrain(ctx, w.Interrupt)
	for {
		line, err := w.ReadCommand()
		switch {
		case errors.Is(err, wire.ErrInterrupted):
			_, _ = io.WriteString(c, "bye\r\n")
			return
		case err != nil:
			return
		}
		switch string(line) {
		case "panic":
			panic("as asked")
		case "slow":
			<-ctx.Done()
			return
		}
		_, _ = c.Write(append(line, "\r\n"...))
	}
}

func ask(t *testing.T, c net.Conn, line string) string {
	t.Helper()
	if _, err := io.WriteString(c, line); err != nil {
		t.Fatal(err)
	}
	return read(t, c)
}

// read returns a line, "" when the connection is gone.
func read(t *testing.T, c net.Conn) string {
	t.Helper()
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	return answer
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 60_000 { // a minute or more
		if condition() {
			return
		}
		<-tick.C
	}
	t.Fatal("never happened")
}

func TestIdleSessionIsWokenByTheDrain(t *testing.T) {
	t.Parallel()
	r := run(t, &Server{Handler: handlerFunc(echo), Limits: Limits{DrainTimeout: time.Minute}})
	c := r.dial()
	if got := ask(t, c, "hello\r\n"); got != "hello\r\n" {
		t.Fatalf("%q", got)
	}
	if n := r.Sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	r.finish()
	if got := read(t, c); got != "bye\r\n" {
		t.Errorf("goodbye: %q", got)
	}
	if n := r.Sessions(); n != 0 {
		t.Errorf("%d sessions after the drain", n)
	}
	if _, err := net.Dial("tcp", r.Listeners[0].Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

func TestBusySessionIsCancelledAfterTheDrainTime(t *testing.T) {
	t.Parallel()
	r := run(t, &Server{Handler: handlerFunc(echo), Limits: Limits{DrainTimeout: 50 * time.Millisecond}})
	c := r.dial()
	ask(t, c, "hello\r\n")
	if _, err := io.WriteString(c, "slow\r\n"); err != nil {
		t.Fatal(err)
	}
	r.finish()
	if got := read(t, c); got != "" && got != "bye\r\n" {
		t.Errorf("%q", got)
	}
}

func TestReadIsBrokenAfterTheDrainTime(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	deaf := func(_ context.Context, c net.Conn) {
		close(started)
		_, _ = io.Copy(io.Discard, c)
	}
	r := run(t, &Server{Handler: handlerFunc(deaf), Limits: Limits{DrainTimeout: 20 * time.Millisecond}})
	r.dial()
	<-started
	r.finish()
}

func TestPanicEndsOneSessionOnly(t *testing.T) {
	t.Parallel()
	r := run(t, &Server{Handler: handlerFunc(echo), Limits: Limits{DrainTimeout: time.Minute}})
	other, c := r.dial(), r.dial()
	if got := ask(t, c, "panic\r\n"); got != "" {
		t.Errorf("%q", got)
	}
	if got := ask(t, other, "still here\r\n"); got != "still here\r\n" {
		t.Errorf("%q", got)
	}
	r.finish()
	if log := r.log.String(); strings.Count(log, "as asked") != 1 || !strings.Contains(log, "echo") {
		t.Errorf("log: %s", log)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, c := range []struct {
		name    string
		limits  Limits
		refused bool
	}{
		{"total", Limits{Connections: 1, Trusted: loopback}, true},
		{"per client", Limits{PerClient: 1}, true},
		{"trusted is exempt", Limits{PerClient: 1, Trusted: loopback}, false},
		{"enough", Limits{PerClient: 2, Connections: 2}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.limits.DrainTimeout = time.Minute
			r := run(t, &Server{Handler: handlerFunc(echo), Limits: c.limits, Busy: "421 busy\r\n"})
			first := r.dial()
			ask(t, first, "one\r\n")
			second := r.dial()
			want := "two\r\n"
			if c.refused {
				want = "421 busy\r\n"
			} else if _, err := io.WriteString(second, want); err != nil {
				t.Fatal(err)
			}
			if got := read(t, second); got != want {
				t.Fatalf("answer %q, want %q", got, want)
			}
			_ = first.Close()
			_ = second.Close()
			waitFor(t, func() bool { return r.Sessions() == 0 })
			if got := ask(t, r.dial(), "three\r\n"); got != "three\r\n" {
				t.Errorf("the place was not given back: %q", got)
			}
			r.finish()
			if n := r.clients.Keys(anvil.Connect); n != 0 {
				t.Errorf("%d clients left", n)
			}
			if logged := strings.Contains(r.log.String(), "too many connections"); logged != c.refused {
				t.Errorf("log: %s", r.log.String())
			}
		})
	}
}

// TestOneCounter: two servers of one instance count a client for themselves, in one
// table, by /64, and what was counted is given back, also by a client that was
// refused for another reason.
func TestOneCounter(t *testing.T) {
	t.Parallel()
	counter := anvil.New(anvil.Options{Clock: clock.System{}})
	servers := map[string]*Server{}
	files := NewFiles(3)
	for _, name := range []string{"smtpd", "imapd"} {
		servers[name] = &Server{ServiceName: name, Counter: counter, Limits: Limits{PerClient: 1, Files: files, Cost: 1}, Log: msglog.Discard(), Clock: clock.System{}}
		servers[name].begin()
	}
	enter := func(name, from string) (*session, string) {
		ses := &session{client: netip.MustParseAddr(from)}
		if e := servers[name].enter(ses); e != nil {
			return ses, e.Text
		}
		return ses, ""
	}
	const busy = "too many connections from this client"
	first, why := enter("smtpd", "2001:db8::1")
	if why != "" {
		t.Fatal(why)
	}
	if _, why := enter("smtpd", "2001:db8::ffff:2"); why != busy {
		t.Errorf("one network counts as two clients: %q", why)
	}
	for _, other := range []struct{ name, from string }{{"imapd", "2001:db8::1"}, {"smtpd", "192.0.2.1"}} {
		if _, why := enter(other.name, other.from); why != "" {
			t.Errorf("%s: %s", other.name, why)
		}
	}
	if _, why := enter("smtpd", "192.0.2.2"); why != "too many open files" || counter.Open(anvil.Connect, servers["smtpd"].clientKey(netip.MustParseAddr("192.0.2.2"))) != 0 {
		t.Errorf("%q, or it is still counted", why)
	}
	servers["smtpd"].leave(first)
	if _, why := enter("smtpd", "2001:db8::2"); why != "" {
		t.Errorf("the place was not given back: %s", why)
	}
}

// failingListener fails n times before it works.
type failingListener struct {
	net.Listener
	failures atomic.Int32
}

func (f *failingListener) Accept() (net.Conn, error) {
	if f.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestAcceptGoesOnAfterErrors(t *testing.T) {
	t.Parallel()
	f := &failingListener{Listener: listen(t)}
	f.failures.Store(3)
	r := run(t, &Server{Handler: handlerFunc(echo), Listeners: []Listener{{Listener: f}}, Limits: Limits{DrainTimeout: time.Minute}})
	if got := ask(t, r.dial(), "hello\r\n"); got != "hello\r\n" {
		t.Errorf("%q", got)
	}
	r.finish()
	if n := strings.Count(r.log.String(), "accept failed"); n != 3 {
		t.Errorf("%d failures logged: %s", n, r.log.String())
	}
}

func TestHandshakeHasADeadline(t *testing.T) {
	t.Parallel()
	r := run(t, &Server{
		Handler:   handlerFunc(func(context.Context, net.Conn) { t.Error("the handler saw a connection without TLS") }),
		Listeners: []Listener{{Listener: listen(t), TLS: &tls.Config{MinVersion: tls.VersionTLS12}}},
		Limits:    Limits{HandshakeTimeout: 20 * time.Millisecond, DrainTimeout: time.Minute},
	})
	if got := read(t, r.dial()); got != "" {
		t.Errorf("%q", got)
	}
	r.finish()
}

func TestRunTwiceAndClose(t *testing.T) {
	t.Parallel()
	r := run(t, &Server{Handler: handlerFunc(echo)})
	if err := r.Run(t.Context()); err == nil {
		t.Error("a second Run")
	}
	r.finish()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestSessionIDsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 10_000 {
		id := NewSessionID()
		if len(id) != 12 || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

// TestAllowedClients: who is not in the list hears why and is not counted; a unix
// socket is always served, and an empty list serves nobody else.
func TestAllowedClients(t *testing.T) {
	t.Parallel()
	unix, err := Listen("unix:"+filepath.Join(t.TempDir(), "s"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, &Server{
		Listeners: []Listener{{Listener: listen(t)}, {Listener: unix}}, Denied: "421 denied\r\n",
		Limits:  Limits{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, PerClient: 1},
		Handler: handlerFunc(func(_ context.Context, c net.Conn) { _, _ = io.WriteString(c, "220 hello\r\n") }),
	})
	from := func(local, network string, l net.Listener) string {
		d := net.Dialer{}
		if local != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
		}
		c, err := d.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		text, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for range 3 {
		if got := from("127.0.0.1", "tcp", r.Listeners[0]); got != "421 denied\r\n" {
			t.Errorf("a stranger hears %q", got)
		}
	}
	if got := from("127.0.0.2", "tcp", r.Listeners[0]); got != "220 hello\r\n" {
		t.Errorf("a client of the list hears %q", got)
	}
	if got := from("", "unix", unix); got != "220 hello\r\n" {
		t.Errorf("the socket says %q", got)
	}
	if !(&Limits{}).allows(netip.MustParseAddr("192.0.2.1")) || (&Limits{Allowed: []netip.Prefix{}}).allows(netip.MustParseAddr("127.0.0.1")) {
		t.Error("no list is everybody, an empty one nobody")
	}
	r.stop()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	if !strings.Contains(r.log.String(), "not in the networks that are served") {
		t.Error(r.log.String())
	}
}
