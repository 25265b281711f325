package policy

import (
	"context"

	"toastmaster/directory"
	"toastmaster/internal/dsn"
)

// rejectUnlistedRecipient is reject_unlisted_recipient: of a hosted domain only
// those who are there, and no domain elsewhere whose mail would go to nobody.
func rejectUnlistedRecipient(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		switch d := e.destination(ctx, t); {
		case e.literal(d):
			return refuse(t.named(dsn.New(dsn.LoopDetected, "This host's own address, and no such user here").WithCode(550)))
		case d.Verdict == directory.Undecided:
			return refuse(d.Err)
		case d.Verdict == directory.Unknown, d.Verdict == directory.Suspended, d.Verdict == directory.Unexpandable:
			return refuse(t.named(d.Err))
		case d.Verdict == directory.Foreign && e.Refused != nil:
			if err := e.Refused(d.final.Domain); err != nil {
				return refuse(t.named(err))
			}
		}
		return Decision{}
	})
}

// rejectRelocatedRecipient is reject_relocated_recipient. Postfix has it in
// reject_unlisted_recipient.
func rejectRelocatedRecipient(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		if d := e.destination(ctx, t); d.Verdict == directory.Relocated {
			return refuse(d.Err)
		}
		return Decision{}
	})
}

// rejectOverQuota is reject_over_quota: a mailbox without room for what was
// announced.
func rejectOverQuota(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		if d := e.destination(ctx, t); d.Verdict == directory.OverQuota {
			return refuse(t.named(d.Err))
		}
		return Decision{}
	})
}
