package policy

import (
	"context"

	"toastmaster/internal/dsn"
)

// senderLogin is the family of reject_sender_login_mismatch. users are checked
// when they logged in, others when they did not; known leaves alone a sender that
// is nobody's here.
func senderLogin(users, others, known bool) func(Stage, *Env) Check {
	return func(_ Stage, e *Env) Check {
		return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
			// Reports of mail programs come from the null sender.
			if !e.CheckSenderLogin || t.Sender.IsNull() || t.Authenticated() && !users || !t.Authenticated() && !others {
				return Decision{}
			}
			if known || !t.Authenticated() {
				if owner, err := e.hasOwner(ctx, t.Sender); err != nil {
					return refuse(err)
				} else if !owner {
					return Decision{}
				}
			}
			if !t.Authenticated() {
				return refuse(dsn.New(dsn.Policy, t.about(Mail)+"not logged in").WithCode(553))
			}
			owned, err := e.Owns(ctx, t.User.Address, t.Sender)
			switch {
			case err != nil:
				return refuse(err)
			case owned:
				return Decision{}
			}
			return refuse(dsn.Newf(dsn.Policy, "%s: Sender address is not owned by %s", t.Sender.Path(), t.User.Address).WithCode(553))
		})
	}
}
