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
func rejectAll(s Stage, _ *Env) Check {
	return CheckFunc(func(_ context.Context, t *Transaction) Decision {
		return refuse(dsn.New(dsn.Policy, t.about(s)+"Access denied"))
	})
}

// deferAll is defer: as reject, for now.
func deferAll(s Stage, _ *Env) Check {
	return CheckFunc(func(_ context.Context, t *Transaction) Decision {
		return refuse(dsn.New(dsn.ShuttingDown, t.about(s)+"Try again later").WithCode(450))
	})
}
