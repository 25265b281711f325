package policy

import (
	"cmp"
	"context"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// Verified is what a probe has found.
type Verified struct {
	// Known is false while nobody knows: a probe is on its way, or met a temporary failure.
	// Deliverable counts when it is true.
	Known, Deliverable bool
	// Text is the reply of the host that was asked.
	Text string
}

// rejectUnverifiedSender is reject_unverified_sender.
func rejectUnverifiedSender(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		if t.Sender.IsNull() {
			return Decision{}
		}
		return e.unverified(ctx, t, t.Sender, t.about(Mail), dsn.Make(4, 1, 7), e.UnverifiedSender)
	})
}

// rejectUnverifiedRecipient is reject_unverified_recipient.
func rejectUnverifiedRecipient(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		return e.unverified(ctx, t, e.destination(ctx, t).final, t.about(Rcpt), dsn.Make(4, 1, 1), e.UnverifiedRecipient)
	})
}

// unverified refuses an address of which a probe says that it takes no mail.
func (e *Env) unverified(ctx context.Context, t *Transaction, a addr.Address, about string, status dsn.Status, p configs.Unverified) Decision {
	found := Verified{Text: "Address verification problem"}
	if e.Verify != nil {
		found = e.Verify(ctx, a, t.Client)
	}
	text := cmp.Or(p.Reason, found.Text)
	switch {
	case found.Known && found.Deliverable:
		return Decision{}
	case found.Known:
		return refuse(coded(p.RejectCode, status, about+"undeliverable address: "+text))
	}
	err := coded(p.DeferCode, status, about+"unverified address: "+text)
	if p.DeferCode >= 500 {
		return refuse(err)
	}
	return e.tempfail(p.Tempfail, err)
}
