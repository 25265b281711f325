package policy

import (
	"context"

	"toastmaster/directory"
	"toastmaster/internal/dsn"
)

// permitAuthDestination is permit_auth_destination.
func permitAuthDestination(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		if d := e.destination(ctx, t); d.Verdict != directory.Undecided && e.authorised(d) {
			return Decision{Action: Permit}
		}
		return Decision{}
	})
}

// unauthDestination is reject_unauth_destination and defer_unauth_destination:
// what keeps this host from being an open relay. A directory that cannot say
// whether a domain is ours lets nobody pass.
func unauthDestination(denied dsn.Status, code func(*Env) int) func(Stage, *Env) Check {
	return func(_ Stage, e *Env) Check {
		return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
			switch d := e.destination(ctx, t); {
			case d.Verdict == directory.Undecided:
				return refuse(d.Err)
			case e.authorised(d):
				return Decision{}
			}
			return refuse(t.named(coded(code(e), denied, "Relay access denied")))
		})
	}
}
