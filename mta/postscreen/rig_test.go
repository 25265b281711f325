package postscreen

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/diskcache"
	"toastmaster/internal/dns"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/dnstest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

var start = time.Unix(1_800_000_000, 0)

// rig is a postscreen on a port of its own, with a clock that stands still.
type rig struct {
	t      *testing.T
	params configs.Postscreen
	limits service.Limits
	clock  *clocktest.Clock
	names  *dnstest.Server
	tables *tables.Set
	disk   vfs.FS
	cache  *diskcache.Cache
	next   service.Handler
	logs   string // a file

	screen *Screen
	addr   string
	stop   func() error
	// talk is all that clients have said and heard, and kept are the clients that are there still.
	mu   sync.Mutex
	kept []*peer
}

// newRig has nothing running; set changes what it is made of.
func newRig(t *testing.T, set func(r *rig)) *rig {
	t.Helper()
	r := &rig{t: t, params: configs.Default().Postscreen, clock: clocktest.New(start), disk: faultfs.NewDisk(), next: echo{}, logs: t.TempDir() + "/log"}
	r.params.AccessList = nil
	r.tables = tables.NewSet(tables.Options{Params: configs.Default().Lookup, Dir: t.TempDir()})
	t.Cleanup(func() { _ = r.tables.Close() })
	if set != nil {
		set(r)
	}
	r.start()
	return r
}

// start begins to serve.
func (r *rig) start() {
	r.t.Helper()
	log, err := msglog.Open(msglog.Options{Format: msglog.Postfix, Hostname: "mx", File: r.logs, Clock: r.clock})
	must(r.t, err)
	r.cache, err = diskcache.Open(diskcache.Options{Path: "/cache", Limit: r.params.CacheLimit, FS: r.disk, Clock: r.clock, Log: log})
	must(r.t, err)
	o := Options{
		Params: r.params, Hostname: "mx.test", Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Cache: r.cache, Next: r.next,
		Table: func(name string) (tables.Table, error) { return r.tables.Open(r.t.Context(), name) },
		Log:   log, Clock: r.clock, MaxMessageBytes: 10_240_000,
	}
	if r.names != nil {
		o.DNS = dns.New(dns.Options{Servers: []string{r.names.Addr}})
	}
	r.screen, err = New(o)
	must(r.t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(r.t, err)
	r.addr = l.Addr().String()
	s := &service.Server{ServiceName: "smtpd", Listeners: []service.Listener{{Listener: l}}, Handler: r.screen, Limits: r.limits, Log: log, Clock: r.clock}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		err := <-done
		_ = log.Close()
		return err
	}
	r.t.Cleanup(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, p := range r.kept {
			_ = p.Close()
		}
		must(r.t, r.stop())
		if r.t.Failed() {
			log := strings.Join(r.log(), "\n")
			r.t.Log(log[max(0, len(log)-4000):])
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// echo is what stands where smtpd does: it greets, and says back what it hears, until the end.
type echo struct{}

func (echo) ServeConn(_ context.Context, c net.Conn) {
	_, _ = io.WriteString(c, "220 next\r\n")
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "250 you said "+line)
	}
}

// peer is a client.
type peer struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

// patience ends a test that hangs; nothing waits for it.
const patience = time.Minute

// dial connects from an address of the loopback network.
func (r *rig) dial(from string) *peer {
	r.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", r.addr)
	must(r.t, err)
	_ = c.SetDeadline(time.Now().Add(patience))
	p := &peer{r.t, c, bufio.NewReader(c)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, p)
	return p
}

// say writes.
func (p *peer) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Errorf("%q: %v", text, err)
	}
}

// hear reads a line for each pattern; "" is the end of the connection.
func (p *peer) hear(patterns ...string) {
	p.t.Helper()
	for _, want := range patterns {
		line, err := p.in.ReadString('\n')
		if want == "" {
			if err == nil {
				p.t.Errorf("%q instead of the end", line)
			}
			continue
		}
		if ok, bad := regexp.MatchString("^"+want, line); err != nil || bad != nil || !ok {
			p.t.Errorf("heard %q (%v), not %q", line, err, want)
		}
	}
}

// ask is say and hear.
func (p *peer) ask(text string, patterns ...string) {
	p.t.Helper()
	p.say(text)
	p.hear(patterns...)
}

// ehlo says it, and reads the answer to its end.
func (p *peer) ehlo() string {
	p.t.Helper()
	p.say("EHLO client.test\r\n")
	all := ""
	for {
		line, err := p.in.ReadString('\n')
		if all += line; err != nil || !strings.HasPrefix(line, "250") {
			p.t.Errorf("EHLO: %q %v", line, err)
			return all
		}
		if strings.HasPrefix(line, "250 ") {
			return all
		}
	}
}

// waiting waits until n clients wait for their greeting.
func (r *rig) waiting(n int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.clock.WaitTimers(ctx, n); err != nil {
		r.t.Fatal(err, strings.Join(r.log(), "\n"))
	}
}

// greeted is a client that waits as it should, and is handed on.
func (r *rig) greeted(from string) *peer {
	r.t.Helper()
	p := r.dial(from)
	p.hear("220-mx.test ESMTP\r\n$")
	r.waiting(1)
	r.clock.Advance(r.params.GreetWait)
	return p
}

var variable = regexp.MustCompile(`^.* mx |\[\d+\]|:\d+|after [\d.]+ from`)

// log is what is in the log, without times and ports.
func (r *rig) log() []string {
	r.t.Helper()
	var out []string
	for _, line := range strings.Split(readFile(r.t, r.logs), "\n") {
		line = variable.ReplaceAllStringFunc(line, func(s string) string {
			switch {
			case strings.HasPrefix(s, "after"):
				return "after T from"
			case strings.HasPrefix(s, ":"):
				return ":P"
			}
			return ""
		})
		if line = strings.TrimPrefix(line, "postfix/"); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// wantLog waits until the lines about a client are these, without CONNECT, DISCONNECT and warnings.
func (r *rig) wantLog(client string, want ...string) {
	r.t.Helper()
	r.wantLogBy(false, client, want...)
}

func (r *rig) wantLogBy(sorted bool, client string, want ...string) {
	r.t.Helper()
	var got []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		got = nil
		for _, line := range r.log() {
			if strings.Contains(line, client) && !strings.Contains(line, " CONNECT from") && !strings.Contains(line, "DISCONNECT") && !strings.Contains(line, ": warning: ") {
				line = strings.TrimPrefix(line, "postscreen: ")
				got = append(got, strings.ReplaceAll(line, "["+client+"]:P", "CLIENT"))
			}
		}
		if len(got) >= len(want) {
			break
		}
	}
	if sorted {
		slices.Sort(got)
		slices.Sort(want)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.t.Errorf("the log says of %s:\n%s\nnot:\n%s", client, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wantLogSorted is wantLog for lines whose order is nobody's choice, but that of the last ones.
func (r *rig) wantLogSorted(client string, want ...string) {
	r.t.Helper()
	r.wantLogBy(true, client, want...)
}

// answered waits until every list has answered everybody, or failed.
func (r *rig) answered() {
	r.t.Helper()
	r.silent(0)
}

// silent waits until so many questions have no answer.
func (r *rig) silent(n int64) {
	r.t.Helper()
	for end := time.Now().Add(patience); r.screen.asking.Load() > n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatal("a list does not answer")
		}
	}
}

func discard() *msglog.Log { return msglog.Discard() }

// places is how many clients are being tested.
func (r *rig) places() int {
	r.screen.room.mu.Lock()
	defer r.screen.room.mu.Unlock()
	return len(r.screen.room.visits)
}

// wantInLog waits until the log has a text.
func (r *rig) wantInLog(text string) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		log := readFile(r.t, r.logs)
		if strings.Contains(log, text) {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("no %q in the log:\n%s", text, log)
		}
	}
}

func mustAddr(t *testing.T, s string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(s)
	must(t, err)
	return a
}
