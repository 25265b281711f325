package policy

import (
	"context"

	"toastmaster/internal/dsn"
)

// permitAll is permit: the list ends here, and well.
func permitAll(Stage, *Env) Check {
	return CheckFunc(func(context.Context, *Transaction) Decision { return Decision{Action: Permit} })
}

// rejectAll is reject: what came so far is refused.
func rejectAll(s Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		return refuse(coded(e.Codes.Reject, dsn.Policy, e.about(ctx, t, s)+"Access denied"))
	})
}

// deferAll is defer: as reject, for now.
func deferAll(s Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		return Decision{Action: Defer, Err: dsn.New(dsn.ShuttingDown, e.about(ctx, t, s)+"Try again later").WithCode(e.Codes.Defer)}
	})
}
