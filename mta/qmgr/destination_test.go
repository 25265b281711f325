package qmgr

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

func TestADeadDestinationIsLeftAlone(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	var alive atomic.Bool
	down := all(dsn.New(dsn.NoAnswer, "nobody there"), true)
	r := start(t, setup{
		config: func(c *configs.Qmgr) { c.InitialDestination = 2 },
		deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
			tries.Add(1)
			if alive.Load() {
				all(nil, false)(ctx, q, report)
				return
			}
			down(ctx, q, report)
		},
	})
	for range 20 {
		r.add("s@example.test", "a@dead.test")
	}
	r.log.await(t, 20, "attempt", "status=deferred", "dsn=4.4.1")
	// A window of two, a cohort of two failures; one more may have been taken
	// before the second was known.
	if n := tries.Load(); n > 3 {
		t.Errorf("%d tries", n)
	}
	if n := len(r.log.with("attempt", "text=Delivery temporarily suspended: nobody there", "relay=none")); n < 17 {
		t.Errorf("%d suspended", n)
	}
	r.awaitDeferred(20)
	before := tries.Load()
	r.add("s@example.test", "b@dead.test")
	r.log.await(t, 1, "attempt", "to=<b@dead.test>", "suspended")
	if tries.Load() != before {
		t.Error("a new message was tried")
	}
	alive.Store(true)
	r.awaitDeferred(21)
	r.clock.Advance(300 * time.Second)
	r.log.await(t, 21, "attempt", "status=sent")
}

// TestAFlushRevives: each way to ask for a try now gets a dead destination one
// chance, and one only while it stays dead.
func TestAFlushRevives(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(*testing.T, *rig, []queue.Info){
		"flush": func(t *testing.T, r *rig, _ []queue.Info) { mustFlush(t, r, queue.Filter{}) },
		"flush recipient": func(t *testing.T, r *rig, _ []queue.Info) {
			mustFlush(t, r, queue.Filter{Recipient: "a@dead.test"})
		},
		"requeue": func(t *testing.T, r *rig, all []queue.Info) {
			for _, info := range all {
				if err := r.queue.Requeue(t.Context(), info.ID); err != nil {
					t.Fatal(err)
				}
			}
		},
		"release": func(t *testing.T, r *rig, all []queue.Info) {
			for _, info := range all {
				if err := errors.Join(r.queue.Hold(t.Context(), info.ID), r.queue.Release(t.Context(), info.ID)); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tries atomic.Int32
			var alive atomic.Bool
			down := all(dsn.New(dsn.NoAnswer, "nobody there"), true)
			r := start(t, setup{
				config: func(c *configs.Qmgr) { c.InitialDestination = 1 },
				deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
					tries.Add(1)
					if alive.Load() {
						all(nil, false)(ctx, q, report)
						return
					}
					down(ctx, q, report)
				},
			})
			const messages = 10
			for range messages {
				r.add("s@example.test", "a@dead.test")
			}
			list := r.awaitDeferred(messages)
			before := tries.Load()
			r.clock.Advance(time.Second)
			ask(t, r, list)
			r.log.await(t, 2*messages, "attempt", "status=deferred")
			if n := tries.Load() - before; n != 1 {
				t.Errorf("%d tries of a site that is still down", n)
			}
			list = r.awaitDeferred(messages)
			alive.Store(true)
			r.clock.Advance(time.Second)
			ask(t, r, list)
			r.log.await(t, messages, "attempt", "status=sent")
		})
	}
}

func mustFlush(t *testing.T, r *rig, f queue.Filter) {
	t.Helper()
	if _, err := r.queue.Flush(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func TestADeadDestinationDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := start(t, setup{
		config: func(c *configs.Qmgr) { c.DestinationLimit, c.TransportConcurrency = 2, 4 },
		deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
			if q.Nexthop == "slow.test" {
				<-release
			}
			all(nil, false)(ctx, q, report)
		},
	})
	for range 50 {
		r.add("s@example.test", "a@slow.test")
	}
	r.add("s@example.test", "a@quick.test")
	r.log.await(t, 1, "attempt", "to=<a@quick.test>", "status=sent")
	close(release)
	r.log.await(t, 51, "removed")
}

func TestConcurrencyLimits(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now, most := map[string]int{}, map[string]int{}
	// The first deliveries end when four are under way, however busy the
	// machine is.
	four := make(chan struct{})
	count := func(key string, by int) {
		now[key] += by
		if key == "all" && now[key] == 4 && most[key] < 4 {
			close(four)
		}
		most[key] = max(most[key], now[key])
	}
	r := start(t, setup{
		config: func(c *configs.Qmgr) {
			c.InitialDestination, c.DestinationLimit, c.TransportConcurrency = 2, 4, 6
		},
		deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
			mu.Lock()
			count(q.Nexthop, 1)
			count("all", 1)
			mu.Unlock()
			select {
			case <-four:
			case <-ctx.Done():
			}
			time.Sleep(time.Millisecond)
			mu.Lock()
			count(q.Nexthop, -1)
			count("all", -1)
			mu.Unlock()
			all(nil, false)(ctx, q, report)
		},
	})
	const messages = 300
	for i := range messages {
		r.add("s@example.test", "a@d"+strconv.Itoa(i%3)+".test")
	}
	r.log.await(t, messages, "removed")
	if most["all"] > 6 || most["all"] < 4 {
		t.Errorf("%d at once in all", most["all"])
	}
	for _, d := range []string{"d0.test", "d1.test", "d2.test"} {
		if most[d] > 4 {
			t.Errorf("%s: %d at once", d, most[d])
		}
	}
}

func TestFeedback(t *testing.T) {
	t.Parallel()
	slow := configs.Feedback{Times: 1, By: 1}
	l := Limits{Cohorts: 2, Positive: slow, Negative: slow}
	d := &destination{window: 2, busy: 4, initial: 2, limit: 4}
	for range 2 {
		d.success(&l)
	}
	if d.window != 3 {
		t.Errorf("after two successes at a window of two: %d", d.window)
	}
	for range 3 + 4 {
		d.success(&l)
	}
	if d.window != 4 {
		t.Errorf("beyond the limit: %d", d.window)
	}
	for range 3 {
		d.failure(&l)
	}
	if d.window != 4 {
		t.Errorf("after less than a cohort: %d", d.window)
	}
	d.failure(&l)
	if d.window != 3 {
		t.Errorf("after a cohort of four: %d", d.window)
	}
	for range 3 {
		d.failure(&l)
	}
	if d.window != 0 {
		t.Errorf("after two cohorts: %d", d.window)
	}
	d.until, d.why = epoch.Add(time.Minute), dsn.New(dsn.NoAnswer, "x")
	d.since = epoch
	never := time.Time{}
	if d.dead(epoch, never, time.Hour) == nil || d.dead(epoch, epoch, time.Hour) == nil || d.dead(epoch.Add(time.Minute), never, time.Hour) != nil || d.window != 1 {
		t.Errorf("%+v", d)
	}
	d.window = 0
	if d.dead(epoch.Add(-time.Hour), never, 300*time.Second) != nil {
		t.Error("dead for longer than it may be, because the clock was set back")
	}
}

func TestUnusedWindowDoesNotGrow(t *testing.T) {
	t.Parallel()
	l := Limits{Positive: configs.Feedback{Times: 1}}
	d := &destination{window: 5, initial: 5, limit: 20}
	for range 100 {
		d.success(&l)
	}
	if d.window != 5 {
		t.Errorf("%d", d.window)
	}
}

func TestDeadDestinationsAreForgotten(t *testing.T) {
	t.Parallel()
	r := start(t, setup{deliver: all(nil, false)})
	tr := r.manager.now.Load().transports["test"]
	tr.mu.Lock()
	for i := range firstSweep {
		d := tr.destination("dead"+strconv.Itoa(i)+".test", 0)
		d.window, d.until = 0, epoch.Add(time.Minute)
	}
	tr.mu.Unlock()
	r.clock.Advance(time.Hour)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.destination("new.test", 0)
	if n := len(tr.destinations); n != 1 {
		t.Errorf("%d destinations are kept", n)
	}
}
