package policy

import (
	"context"

	"toastmaster/internal/dsn"
)

// permitMynetworks is permit_mynetworks: clients in main.trusted_networks, and
// those on a unix socket.
func permitMynetworks(Stage, *Env) Check {
	return CheckFunc(func(_ context.Context, t *Transaction) Decision {
		if t.Trusted {
			return Decision{Action: Permit}
		}
		return Decision{}
	})
}

// permitAuthenticated is permit_sasl_authenticated.
func permitAuthenticated(Stage, *Env) Check {
	return CheckFunc(func(_ context.Context, t *Transaction) Decision {
		if t.Authenticated() {
			return Decision{Action: Permit}
		}
		return Decision{}
	})
}

// rejectUnauthenticated is reject_unauthenticated: nobody who has not logged in
// comes further. RFC 4954 section 6 has the reply.
func rejectUnauthenticated(Stage, *Env) Check {
	return CheckFunc(func(_ context.Context, t *Transaction) Decision {
		if t.Authenticated() {
			return Decision{}
		}
		return refuse(dsn.New(dsn.AuthRequired, "Authentication required").WithCode(530))
	})
}
