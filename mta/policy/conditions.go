package policy

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"toastmaster/directory"
	"toastmaster/internal/dsn"
)

// deferIfPermit is defer_if_permit.
func deferIfPermit(s Stage, e *Env) Check {
	return deferIf(s, e, DeferIfPermit, "defer_if_permit requested")
}

// deferIfReject is defer_if_reject.
func deferIfReject(s Stage, e *Env) Check {
	return deferIf(s, e, DeferIfReject, "defer_if_reject requested")
}

func deferIf(s Stage, e *Env, a Action, text string) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		return Decision{Action: a, Err: dsn.New(dsn.Make(4, 7, 0), e.about(ctx, t, s)+text).WithCode(450)}
	})
}

// rejectMultiRecipientBounce is reject_multi_recipient_bounce: a report has one
// recipient.
func rejectMultiRecipientBounce(s Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		n := t.Recipients
		if t.Stage < Data && !t.Recipient.IsNull() {
			n++ // the one that is being asked about
		}
		if !t.Sender.IsNull() || n < 2 {
			return Decision{}
		}
		return refuse(coded(e.Codes.MultiRecipientBounce, dsn.Make(5, 5, 3), e.about(ctx, t, s)+"Multi-recipient bounce"))
	})
}

// rejectPlaintextSession is reject_plaintext_session.
func rejectPlaintextSession(_ Stage, e *Env) Check {
	return CheckFunc(func(_ context.Context, t *Transaction) Decision {
		if t.TLS != nil && t.TLS() != nil {
			return Decision{}
		}
		return refuse(coded(e.Codes.Plaintext, dsn.Policy, "Session encryption is required"))
	})
}

// rejectUnauthPipelining is reject_unauth_pipelining.
func rejectUnauthPipelining(s Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		if t.Pipelined == nil || !t.Pipelined() {
			return Decision{}
		}
		return refuse(dsn.New(dsn.Make(5, 5, 0), e.about(ctx, t, s)+"Improper use of SMTP command pipelining").WithCode(503))
	})
}

// permitInetInterfaces is permit_inet_interfaces.
func permitInetInterfaces(_ Stage, e *Env) Check {
	return CheckFunc(func(_ context.Context, t *Transaction) Decision {
		if e.OwnAddress != nil && t.Client.IsValid() && e.OwnAddress(t.Client.Unmap()) {
			return Decision{Action: Permit}
		}
		return Decision{}
	})
}

// rejectUnlistedSender is reject_unlisted_sender: of a domain that is hosted, or in another class of addresses, only
// those who are there.
func rejectUnlistedSender(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		if t.Sender.IsNull() {
			return Decision{}
		}
		d := &destination{final: t.Sender}
		e.find(ctx, t, d)
		e.mapped(ctx, d, false)
		text, status := "User unknown", dsn.Make(5, 1, 0)
		switch {
		case d.Verdict == directory.Undecided:
			return refuse(d.Err)
		case d.refused != nil && d.refused.Temporary():
			return refuse(d.refused)
		case d.refused != nil:
			if text = d.refused.Text; d.class == directory.AliasClass {
				status = dsn.Make(5, 1, 7) // as Postfix
			}
		case d.Verdict != directory.Unknown:
			return Decision{}
		}
		return refuse(dsn.New(status, t.about(Mail)+text).WithCode(550))
	})
}

// maxSleep is how long sleep may hold a session.
const maxSleep = time.Hour

// sleepFor is sleep.
func sleepFor(_ Stage, e *Env, arg string) (Check, error) {
	n, err := strconv.ParseUint(arg, 10, 31)
	d := time.Duration(n) * time.Second
	if err != nil || d > maxSleep {
		return nil, fmt.Errorf("sleep wants seconds, at most %.0f", maxSleep.Seconds())
	}
	return CheckFunc(func(ctx context.Context, _ *Transaction) Decision {
		timer := e.Clock.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C():
		case <-ctx.Done():
		}
		return Decision{}
	}), nil
}
