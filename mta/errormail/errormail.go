package errormail

import (
	"context"

	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
)

// Agent has no state.
type Agent struct{}

// Deliver reports the request's error for every recipient.
func (Agent) Deliver(_ context.Context, r *agent.Request, report func(agent.Result)) {
	err := r.Err
	if err == nil {
		err = dsn.New(dsn.Misconfigured, "Server configuration error")
	}
	for _, i := range r.Recipients {
		report(agent.Result{Recipient: i, Err: err, Relay: "none"})
	}
}
