package qmgr

import (
	"context"
	"slices"
	"sync"
	"testing"

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
	r := start(t, setup{deliver: all(nil, false)})
	r.addWith("s@example.test", func(e *envelope.Envelope) { e.Filter = &envelope.Route{Transport: "none"} }, "a@one.test")
	r.log.await(t, 1, "attempt", "dsn=4.3.5", "status=deferred")
}
