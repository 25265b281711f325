package qmgr

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/agent"
)

// TestAFilterTakesThePlaceOfRoutes: of those that cannot be resolved and those that
// would be refused, too. With a nexthop all recipients are one job, without one a job for each domain.
func TestAFilterTakesThePlaceOfRoutes(t *testing.T) {
	t.Parallel()
	for nexthop, want := range map[string][]string{
		"[127.0.0.1]:10025": {"[127.0.0.1]:10025"},
		"":                  {"down.test", "one.test", "refused.test"},
	} {
		var mu sync.Mutex
		var hops []string
		r := start(t, setup{deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
			mu.Lock()
			hops = append(hops, q.Nexthop)
			mu.Unlock()
			all(nil, false)(ctx, q, report)
		}})
		r.addWith("s@example.test", func(e *envelope.Envelope) {
			e.Filter = &envelope.Route{Transport: "test", Nexthop: nexthop}
		}, "a@one.test", "b@down.test", "c@refused.test")
		r.log.await(t, 3, "attempt", "status=sent")
		mu.Lock()
		slices.Sort(hops)
		if !slices.Equal(hops, want) {
			t.Errorf("%q: %q", nexthop, hops)
		}
		mu.Unlock()
	}
	hop := make(chan string, 1)
	r := start(t, setup{config: func(c *configs.Qmgr) { c.DefaultFilterNexthop = "[127.0.0.1]:10026" }, deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
		hop <- q.Nexthop
		all(nil, false)(ctx, q, report)
	}})
	r.addWith("s@example.test", func(e *envelope.Envelope) { e.Filter = &envelope.Route{Transport: "test"} }, "a@one.test", "b@two.test")
	if got := <-hop; got != "[127.0.0.1]:10026" {
		t.Errorf("the default: %q", got)
	}
	r = start(t, setup{deliver: all(nil, false)})
	r.addWith("s@example.test", func(e *envelope.Envelope) { e.Filter = &envelope.Route{Transport: "none"} }, "a@one.test")
	r.log.await(t, 1, "attempt", "dsn=4.3.5", "status=deferred")
}

// TestTheFilterIsChosen: a nexthop in brackets, and that of a content filter of the configuration, is the operator's word, which mta/smtp needs to
// know before it calls a host that greets with our name ourselves; without a nexthop there is the default.
func TestTheFilterIsChosen(t *testing.T) {
	t.Parallel()
	for nexthop, want := range map[string]string{
		"[127.0.0.1]:10025": "[127.0.0.1]:10025 true", "localhost:10025": "localhost:10025 true", "filter.test": "filter.test false", "": "default.test true",
	} {
		hops := make(chan string, 1)
		r := start(t, setup{config: func(c *configs.Qmgr) { c.DefaultFilterNexthop = "default.test" }, filters: []string{"test:localhost:10025"},
			deliver: func(ctx context.Context, q *agent.Request, report func(agent.Result)) {
				hops <- fmt.Sprint(q.Nexthop, " ", q.Chosen)
				all(nil, false)(ctx, q, report)
			}})
		r.addWith("s@example.test", func(e *envelope.Envelope) {
			e.Filter = &envelope.Route{Transport: "test", Nexthop: nexthop}
		}, "a@one.test")
		if got := <-hops; got != want {
			t.Errorf("%q: %s, want %s", nexthop, got, want)
		}
	}
}

// TestSoftBounce: what an agent, the resolver or cleanup refuses for good waits, and goes back when it is too old.
func TestSoftBounce(t *testing.T) {
	t.Parallel()
	refused := dsn.New(dsn.BadDestMailbox, "nobody there")
	r := start(t, setup{soft: true, deliver: all(refused, false)})
	r.addWith("s@example.test", func(e *envelope.Envelope) { e.Recipients[0].Refused = refused }, "a@one.test")
	r.add("s@example.test", "b@one.test")
	r.log.await(t, 2, "attempt", "dsn=4.1.1", "status=deferred")
	if got := r.log.with("attempt", "status=bounced"); len(got) > 0 {
		t.Errorf("%q", got)
	}
}
