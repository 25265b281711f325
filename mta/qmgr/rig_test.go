package qmgr

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/vfs"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// lines is a slog.Handler that keeps mail events as "name key=value ...".
type lines struct {
	mu    sync.Mutex
	all   []string
	added chan struct{}
	trap  string
}

// panicAt makes lines of that name panic.
func (l *lines) panicAt(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trap = name
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Message == l.trap {
		panic("no log")
	}
	l.all = append(l.all, b.String())
	close(l.added)
	l.added = make(chan struct{})
	return nil
}

// with returns the lines that begin with name and hold all the words.
func (l *lines) with(name string, words ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.find(name, words)
}

func (l *lines) find(name string, words []string) []string {
	var out []string
next:
	for _, s := range l.all {
		if !strings.HasPrefix(s, name+" ") {
			continue
		}
		for _, w := range words {
			if !strings.Contains(s+" ", w) {
				continue next
			}
		}
		out = append(out, s)
	}
	return out
}

// await waits until there are n such lines.
func (l *lines) await(t testing.TB, n int, name string, words ...string) []string {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		l.mu.Lock()
		found, added := l.find(name, words), l.added
		l.mu.Unlock()
		if len(found) >= n {
			return found
		}
		select {
		case <-added:
		case <-deadline:
			l.mu.Lock()
			t.Fatalf("only %d of %d %s %v in\n%s", len(found), n, name, words, strings.Join(l.all, "\n"))
		}
	}
}

// scripted is an agent that does what a function says.
type scripted struct {
	deliver func(ctx context.Context, r *agent.Request, report func(agent.Result))
}

func (s scripted) Deliver(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	s.deliver(ctx, r, report)
}

func sent(i int) agent.Result {
	return agent.Result{Recipient: i, Action: agent.Sent, Text: "ok", Relay: "test", Effect: queue.EffectFinal}
}

// all answers every recipient with the same error, or success for nil.
func all(e *dsn.Error, site bool) func(context.Context, *agent.Request, func(agent.Result)) {
	return func(_ context.Context, r *agent.Request, report func(agent.Result)) {
		for _, i := range r.Recipients {
			if e == nil {
				report(sent(i))
			} else {
				report(agent.Result{Recipient: i, Err: e, Relay: "test", Site: site})
			}
		}
	}
}

// byDomain routes every recipient to transport "test" and its domain.
type byDomain struct{}

func (byDomain) Resolve(_ context.Context, _, a addr.Address) (agent.Route, error) {
	switch a.Domain {
	case "down.test":
		return agent.Route{}, dsn.New(dsn.MailSystem, "Temporary lookup failure")
	case "refused.test":
		return agent.Route{Transport: "error", Err: dsn.New(dsn.BadDestMailbox, "No such user "+a.Local)}, nil
	case "odd.test":
		return agent.Route{Transport: "carrier pigeon"}, nil
	}
	return agent.Route{Transport: "test", Nexthop: a.Domain}, nil
}

// reporter keeps reports; fail makes it refuse.
type reporter struct {
	mu      sync.Mutex
	reports []agent.Report
	fail    error
	panics  string // what Report panics with, unless ""
	// stuck, when not nil, gets a value from each report, which then waits for
	// the end of its context.
	stuck chan struct{}
}

func (r *reporter) Report(ctx context.Context, rep *agent.Report) error {
	if r.stuck != nil {
		r.stuck <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.panics != "" {
		panic(r.panics)
	}
	if r.fail != nil {
		return r.fail
	}
	r.reports = append(r.reports, *rep)
	return nil
}

func (r *reporter) setFail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

func (r *reporter) setPanic(with string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.panics = with
}

func (r *reporter) kinds() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, rep := range r.reports {
		out = append(out, fmt.Sprintf("%s:%d", rep.Kind, len(rep.Recipients)))
	}
	return strings.Join(out, " ")
}

// rig is a manager over a real queue, with a clock that stands still.
type rig struct {
	t        testing.TB
	clock    *clocktest.Clock
	queue    *queue.Queue
	manager  *Manager
	log      *lines
	dir      string // of the queue
	reporter *reporter
	stop     func()
}

type setup struct {
	config   func(*configs.Qmgr)
	queue    func(*configs.Queue)
	limits   func(*Limits)
	resolver agent.Resolver
	deliver  func(ctx context.Context, r *agent.Request, report func(agent.Result))
	stuck    chan struct{} // of the reporter
	filters  []string      // content filters of the configuration
	soft     bool          // main.soft_bounce
}

func start(t testing.TB, s setup) *rig {
	t.Helper()
	r := &rig{t: t, clock: clocktest.New(epoch), log: &lines{added: make(chan struct{})}, reporter: &reporter{stuck: s.stuck}}
	log := msglog.New(r.log)
	r.dir = t.TempDir()
	c := configs.Default().Qmgr
	if s.config != nil {
		s.config(&c)
	}
	cq := configs.Default().Queue
	if s.queue != nil {
		s.queue(&cq)
	}
	q, err := queue.Open(t.Context(), queue.Options{
		FS: vfs.OS{}, Dir: r.dir, Config: cq, Clock: r.clock, Log: log,
		Window: queue.Window{Messages: c.ActiveLimit, Recipients: c.MessageRecipientLimit}, MaximalBackoff: c.MaximalBackoffTime,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.queue = q
	if s.resolver == nil {
		s.resolver = byDomain{}
	}
	limits := RemoteLimits(c)
	if s.limits != nil {
		s.limits(&limits)
	}
	r.manager = New(Options{Queue: q, Log: log, Clock: r.clock, Renewal: Renewal{
		Params: c, Resolver: s.resolver, Reporter: r.reporter, ContentFilters: s.filters, SoftBounce: s.soft,
		Transports: []Transport{{Name: "test", Agent: scripted{s.deliver}, Limits: limits}},
	}})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { q.Run(ctx) })
	running.Go(func() {
		if err := r.manager.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// add queues a message.
func (r *rig) add(from string, to ...string) *envelope.Envelope {
	r.t.Helper()
	return r.addWith(from, nil, to...)
}

func (r *rig) addWith(from string, change func(*envelope.Envelope), to ...string) *envelope.Envelope {
	r.t.Helper()
	env := &envelope.Envelope{ID: r.queue.NewID(), Arrived: r.clock.Now()}
	if from != "" {
		env.Sender = r.address(from)
	}
	for _, s := range to {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: r.address(s), Original: r.address(s)})
	}
	if change != nil {
		change(env)
	}
	if err := r.queue.Add(r.t.Context(), env, []byte("Received: x\n"), envelope.Memory("Subject: y\n\nz\n")); err != nil {
		r.t.Fatal(err)
	}
	return env
}

func (r *rig) address(s string) addr.Address {
	r.t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// awaitDeferred waits until the queue has n deferred messages, and returns
// when they are due.
func (r *rig) awaitDeferred(n int) []queue.Info {
	r.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		list, err := r.queue.List(r.t.Context(), queue.Filter{Place: queue.Deferred}, "", 1000)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(list) >= n {
			return list
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("only %d of %d deferred", len(list), n)
		}
		time.Sleep(time.Millisecond) // the queue has no event for this
	}
}

// awaitPlace waits until the queue has n messages in a place.
func (r *rig) awaitPlace(place queue.Place, n int64) {
	r.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for r.counts()[place] != n {
		if time.Now().After(deadline) {
			r.t.Fatalf("%v, want %d %s", r.counts(), n, place)
		}
		time.Sleep(time.Millisecond) // the queue has no event for this
	}
}

// advanceUntil moves the clock by d, again and again, until there are n such lines.
func (r *rig) advanceUntil(d time.Duration, n int, name string, words ...string) {
	r.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for len(r.log.with(name, words...)) < n {
		if time.Now().After(deadline) {
			r.t.Fatalf("only %d of %d %s %v", len(r.log.with(name, words...)), n, name, words)
		}
		r.clock.Advance(d)
		time.Sleep(5 * time.Millisecond) // for what became due
	}
}

func (r *rig) counts() map[queue.Place]int64 {
	r.t.Helper()
	n, err := r.queue.Counts()
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}
