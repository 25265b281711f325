package qmgr

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
)

// switched routes to a transport that changes.
type switched struct{ to atomic.Pointer[string] }

func (s *switched) Resolve(_ context.Context, _, a addr.Address) (agent.Route, error) {
	return agent.Route{Transport: *s.to.Load(), Nexthop: a.Domain}, nil
}

func (s *switched) set(name string) *switched {
	s.to.Store(&name)
	return s
}

// gate is an agent that says who comes, and lets nobody through before it is opened.
type gate struct {
	came chan string
	open chan struct{}
}

func newGate() *gate { return &gate{make(chan string, 1000), make(chan struct{})} }

func (g *gate) Deliver(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	g.came <- r.Envelope.Recipients[r.Recipients[0]].Address.Local
	select {
	case <-g.open:
		all(nil, false)(ctx, r, report)
	case <-ctx.Done():
	}
}

// TestRenewResolvesWhatWaits: a delivery that runs goes on with its agent; what waits for its turn goes the new way at once, also where the old transport is gone.
func TestRenewResolvesWhatWaits(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprintf("gone %v", gone), func(t *testing.T) {
			t.Parallel()
			before, after, way := newGate(), newGate(), (&switched{}).set("other")
			r := start(t, setup{resolver: (&switched{}).set("test"), deliver: before.Deliver, limits: func(l *Limits) { l.Concurrency = 1 }})
			r.add("x@a.test", "one@far.test")
			if who := <-before.came; who != "one" {
				t.Fatal(who)
			}
			for _, who := range []string{"two", "three"} {
				r.add("x@a.test", who+"@far.test")
			}
			r.awaitWaiting(t, "test", 2)
			c := configs.Default().Qmgr
			next := Renewal{Params: c, Resolver: way, Reporter: r.reporter, Routes: true, Transports: []Transport{{Name: "other", Agent: after, Limits: RemoteLimits(c)}}}
			if !gone {
				l := RemoteLimits(c)
				l.Concurrency = 1
				next.Transports = append(next.Transports, Transport{Name: "test", Agent: after, Limits: l})
			}
			r.manager.Renew(next)
			seen := map[string]bool{<-after.came: true, <-after.came: true}
			if !seen["two"] || !seen["three"] {
				t.Errorf("%v", seen)
			}
			close(before.open)
			close(after.open)
			r.log.await(t, 3, "attempt", "status=sent")
			r.log.await(t, 3, "removed")
			if n := len(before.came) + len(after.came); n != 0 {
				t.Errorf("%d deliveries too many", n)
			}
		})
	}
}

// TestRenewKeepsWhatIsKnown: a destination that is dead stays dead, one with a concurrency keeps it within the new limits, and a limit that is raised counts at once.
func TestRenewKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	g := newGate()
	down := func(ctx context.Context, r *agent.Request, report func(agent.Result)) {
		if r.Nexthop == "down.example" {
			all(dsn.New(dsn.NoAnswer, "nobody there"), true)(ctx, r, report)
			return
		}
		g.Deliver(ctx, r, report)
	}
	one := func(l *Limits) { l.Initial, l.Destination, l.Cohorts = 1, 1, 1 }
	way := (&switched{}).set("test")
	r := start(t, setup{resolver: way, deliver: down, limits: one})
	r.add("x@a.test", "a@down.example")
	r.log.await(t, 1, "attempt", "status=deferred", "nobody there")
	for _, who := range []string{"one", "two", "three"} {
		r.add("x@a.test", who+"@far.test")
	}
	<-g.came
	r.awaitWaiting(t, "test", 2)
	c := configs.Default().Qmgr
	l := RemoteLimits(c)
	one(&l)
	l.Initial, l.Destination = 3, 3
	r.manager.Renew(Renewal{Params: c, Resolver: way, Reporter: r.reporter, Transports: []Transport{{Name: "test", Agent: scripted{down}, Limits: l}}})
	r.add("x@a.test", "b@down.example")
	r.log.await(t, 1, "attempt", "status=deferred", "suspended")
	for range 2 { // beside the first one
		<-g.came
	}
	close(g.open)
	r.log.await(t, 3, "attempt", "status=sent")
}

// awaitWaiting waits until so many jobs wait for their turn.
func (r *rig) awaitWaiting(t *testing.T, name string, n int) {
	t.Helper()
	tr := r.manager.now.Load().transports[name]
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) { // there is no event
		tr.mu.Lock()
		waiting := tr.turns.Waiting()
		tr.mu.Unlock()
		if waiting == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d wait", waiting)
		}
	}
}

// TestRenewUnderLoad: every message is delivered once, whatever comes and goes meanwhile.
func TestRenewUnderLoad(t *testing.T) {
	t.Parallel()
	const messages = 300
	var mu sync.Mutex
	seen := map[string]int{}
	deliver := func(ctx context.Context, r *agent.Request, report func(agent.Result)) {
		mu.Lock()
		seen[r.Envelope.Recipients[r.Recipients[0]].Address.Local]++
		mu.Unlock()
		all(nil, false)(ctx, r, report)
	}
	r := start(t, setup{resolver: (&switched{}).set("test"), deliver: deliver})
	var adding sync.WaitGroup
	adding.Go(func() {
		for n := range messages {
			r.add("x@a.test", fmt.Sprintf("u%d@d%d.test", n, n%7))
		}
	})
	c := configs.Default().Qmgr
	for n := range 20 {
		name := []string{"test", "other"}[n%2]
		l := RemoteLimits(c)
		l.Concurrency = 1 + n%3
		r.manager.Renew(Renewal{
			Params: c, Resolver: (&switched{}).set(name), Reporter: r.reporter, Routes: n%3 != 0, Transports: []Transport{{Name: name, Agent: scripted{deliver}, Limits: l}},
		})
		r.log.await(t, n*messages/40, "removed")
	}
	adding.Wait()
	r.log.await(t, messages, "removed")
	mu.Lock()
	defer mu.Unlock()
	for who, n := range seen {
		if n != 1 {
			t.Errorf("%s: %d times", who, n)
		}
	}
	if len(seen) != messages {
		t.Errorf("%d of %d", len(seen), messages)
	}
}
