package discard

import (
	"context"

	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// Agent has no state.
type Agent struct{}

// Deliver reports success for every recipient, with the nexthop as the reason. It
// counts as transferred and not as delivered, so that no success report tells the
// sender a lie.
func (Agent) Deliver(_ context.Context, r *agent.Request, report func(agent.Result)) {
	status, reason := dsn.Split(r.Nexthop, dsn.OK)
	if status.Class() != dsn.OK.Class() {
		status = dsn.OK
	}
	for _, i := range r.Recipients {
		report(agent.Result{
			Recipient: i, Action: agent.Transferred, Relay: "none",
			Status: status, Text: reason, Effect: queue.EffectFinal,
		})
	}
}
