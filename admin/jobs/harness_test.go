package jobs

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/admin/store/storetest"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a store of jobs on a real database, with a clock that stands still.
type rig struct {
	t      *testing.T
	store  *store.Store
	writer *sql.DB
	clock  *clocktest.Clock
	log    *lines
	kinds  map[string]Func
}

func newRig(t *testing.T, kinds map[string]Func) *rig {
	t.Helper()
	g := &rig{
		t: t, clock: clocktest.New(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)), log: &lines{changed: make(chan struct{})}, kinds: kinds,
	}
	k := storetest.Open(t, storetest.Config(), func(o *store.Options) { o.Clock = g.clock })
	g.store, g.writer = k.Store, k.Writer
	return g
}

// options are those of a Runner with two workers.
func (g *rig) options() Options {
	return Options{
		Store: g.store, Kinds: g.kinds, Workers: 2, Open: 10, History: 100, Clock: g.clock, Log: msglog.New(slog.NewTextHandler(g.log, nil)),
	}
}

// run runs a Runner until stop is called, which waits for its end.
func (g *rig) run(o Options) (r *Runner, stop func()) {
	r = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			g.t.Error(err)
		}
	})
	g.t.Cleanup(stop)
	return r, stop
}

func (g *rig) add(r *Runner, kind, object string) model.Job {
	g.t.Helper()
	j, err := r.Add(g.t.Context(), "tester", model.JobInput{Kind: kind, Object: object, Input: json.RawMessage(`{"of":"` + object + `"}`)})
	if err != nil {
		g.t.Fatal(err)
	}
	return j
}

// kept is the job as it is written down.
func (g *rig) kept(id int64) model.Job {
	g.t.Helper()
	j, err := g.store.Job(g.t.Context(), id)
	if err != nil {
		g.t.Fatal(err)
	}
	return j
}

// waitTimers waits until so many wait for the clock.
func (g *rig) waitTimers(n int) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	defer cancel()
	if err := g.clock.WaitTimers(ctx, n); err != nil {
		g.t.Fatalf("%d timers do not come: %s", n, g.log.String())
	}
}

// receive waits for a step of a Func.
func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatal("it does not come")
		panic("not reached")
	}
}

// lines is a log, of which tests await lines.
type lines struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{} // closed and replaced with each line
	// poison panics instead of taking a line with that in it, once.
	poison string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.poison != "" && bytes.Contains(p, []byte(l.poison)) {
		l.poison = ""
		panic("the log is on fire")
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits for the n-th line with text in it.
func (l *lines) await(t *testing.T, text string, n int) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		l.mu.Lock()
		found, changed := strings.Count(l.b.String(), text) >= n, l.changed
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("no %q in\n%s", text, l.String())
		}
	}
}

var errOwn = errors.New("secret cause")
