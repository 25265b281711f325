package proxymap

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/directory/tables"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/netstring"
	"toastmaster/internal/service"

	"github.com/prometheus/client_golang/prometheus"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/dlclark/regexp2/v2.runClock"))
}

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

// rig is a daemon on a port and a socket of its own.
type rig struct {
	t        testing.TB
	params   configs.Proxymap
	limits   service.Limits
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	hosted   *directory.Directory
	dir      string
	logs     string
	log      *msglog.Log
	registry *prometheus.Registry
	daemon   *Daemon
	addr     string
	socket   string
	// stop ends the service and returns what Run said.
	stop func() error
}

func newRig(t testing.TB, set func(*rig)) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "px") // short: it has a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d, err := static.New(static.Data{
		Domains:  static.Hosted("example.test"),
		Accounts: []directory.Account{static.Box("alice@example.test", ""), static.Box("bob@example.test", "")},
		Aliases:  map[string][]string{"sales@example.test": {"alice@example.test", "bob@example.test"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, params: configs.Default().Proxymap, hosted: d, dir: dir, logs: filepath.Join(dir, "log"), registry: prometheus.NewRegistry(), socket: filepath.Join(dir, "s")}
	if set != nil {
		set(r)
	}
	if r.log, err = msglog.Open(msglog.Options{File: r.logs, Registry: r.registry, Clock: clock.System{}}); err != nil {
		t.Fatal(err)
	}
	limits := configs.Default().Lookup
	limits.Timeout = time.Minute
	all := tables.NewSet(tables.Options{Params: limits, Dir: dir, Directory: r.hosted, Aliases: directory.Limits{Depth: 10, Addresses: 100}, Dial: r.dial, Log: r.log})
	if r.daemon, err = New(Options{Params: r.params, Tables: all, Log: r.log, Clock: clock.System{}}); err != nil {
		t.Fatal(err)
	}
	server := &service.Server{ServiceName: "proxymap", Handler: r.daemon, Limits: r.limits, Log: r.log, Clock: clock.System{}}
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": r.socket} {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		if network == "tcp" {
			r.addr = l.Addr().String()
		}
		server.Listeners = append(server.Listeners, service.Listener{Listener: l})
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	<-server.Ready()
	stopped := false
	r.stop = func() error {
		cancel()
		if stopped {
			return nil
		}
		stopped = true
		err := <-done
		_ = all.Close()
		_ = r.log.Close()
		return err
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// client is a connection that speaks the protocol by hand.
type client struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func (r *rig) connect() *client { return r.connectTo("tcp", r.addr) }

func (r *rig) connectTo(network, address string) *client {
	r.t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &client{c, r.t, bufio.NewReader(c)}
}

func (c *client) write(octets string) {
	c.t.Helper()
	if _, err := c.Write([]byte(octets)); err != nil {
		c.t.Error(err)
	}
}

func (c *client) read() string {
	c.t.Helper()
	answer, err := netstring.Read(c.in, 1<<20)
	if err != nil {
		c.t.Errorf("no answer: %v", err)
	}
	return string(answer)
}

// ask is one request.
func (c *client) ask(request string) string {
	c.t.Helper()
	c.write(string(netstring.Append(nil, request)))
	return c.read()
}

// over waits for the end of the connection, and says that nothing came before it.
func (c *client) over() {
	c.t.Helper()
	b, err := c.in.ReadByte()
	if err == nil {
		c.t.Errorf("%q and more came, want the end", b)
	}
	if e, ok := err.(net.Error); ok && e.Timeout() {
		c.t.Error("the connection is not over")
	}
}

// inLog waits until the log has a text.
func (r *rig) inLog(text string) string {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		log, err := os.ReadFile(r.logs)
		if err == nil && strings.Contains(string(log), text) {
			return string(log)
		}
		if time.Now().After(end) {
			r.t.Fatalf("the log does not say %q:\n%s", text, log)
		}
	}
}

// counted is toastmaster_lookups_total of a table and a result.
func (r *rig) counted(table, result string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == "toastmaster_lookups_total" && labels["table"] == table && labels["result"] == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func networks(texts ...string) (out []netip.Prefix) {
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
