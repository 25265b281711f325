package discard

import (
	"context"

	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// Agent has no state.
type Agent struct{}

// Deliver reports success for every recipient. The nexthop is the reason in
// the log. It counts as transferred and not as delivered, so that no success
// report tells the sender a lie.
func (Agent) Deliver(_ context.Context, r *agent.Request, report func(agent.Result)) {
	for _, i := range r.Recipients {
		report(agent.Result{
			Recipient: i, Action: agent.Transferred, Relay: "none",
			Text: "discarded: " + r.Nexthop, Effect: queue.EffectFinal,
		})
	}
}
