package errormail

import (
	"context"
	"fmt"

	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
)

// Agent gives every recipient one reason. It has no state.
type Agent struct {
	// status is that of a reason without one; its class is the agent's.
	status dsn.Status
}

// Bounces makes the agent "error", whose reasons are permanent.
func Bounces() Agent { return Agent{dsn.Make(5, 0, 0)} }

// Defers makes the agent "retry", whose reasons are temporary.
func Defers() Agent { return Agent{dsn.Make(4, 0, 0)} }

// Deliver reports the route's error, or else the nexthop as the reason, for every
// recipient.
func (a Agent) Deliver(_ context.Context, r *agent.Request, report func(agent.Result)) {
	err := r.Err
	if err == nil {
		err = a.reason(r.Nexthop)
	}
	for _, i := range r.Recipients {
		report(agent.Result{Recipient: i, Err: err, Relay: "none"})
	}
}

// Probe says what Deliver would.
func (a Agent) Probe(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	a.Deliver(ctx, r, report)
}

// reason reads a nexthop. A status of the wrong class is not believed: what a filter
// chose may not make mail bounce that "retry" is to keep.
func (a Agent) reason(nexthop string) *dsn.Error {
	status, text := dsn.Split(nexthop, a.status)
	var ignored error
	if status.Class() != a.status.Class() {
		status, ignored = a.status, fmt.Errorf("the status %s is ignored, the agent gives %d.x.x", status, a.status.Class())
	}
	if text == "" {
		text = agent.Undeliverable
	}
	return dsn.Wrap(status, text, ignored)
}
