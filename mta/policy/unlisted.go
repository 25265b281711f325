package policy

import (
	"context"

	"toastmaster/directory"
)

// rejectUnlistedRecipient is reject_unlisted_recipient: of a hosted domain only
// those who are there, and no domain elsewhere whose mail would go to nobody.
func rejectUnlistedRecipient(_ Stage, e *Env) Check {
	if e.NoUnknownRecipients {
		return List{}
	}
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		d := e.destination(ctx, t)
		if err := e.nobody(ctx, d); err != nil {
			return refuse(t.named(err))
		}
		switch d.Verdict {
		case directory.Undecided:
			return refuse(d.Err)
		case directory.Unknown, directory.Suspended, directory.Unexpandable:
			return refuse(t.named(d.Err))
		}
		return Decision{}
	})
}

// rejectRelocatedRecipient is reject_relocated_recipient. Postfix has it in
// reject_unlisted_recipient.
func rejectRelocatedRecipient(_ Stage, e *Env) Check {
	if e.NoUnknownRecipients {
		return List{}
	}
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
