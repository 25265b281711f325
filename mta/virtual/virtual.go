package virtual

import (
	"context"
	"time"

	"toastmaster/directory"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/trace"
	"toastmaster/mailstore"
	"toastmaster/mailstore/plan"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// Deliverer takes messages: *plan.Executor here, an LMTP client when a mailbox
// lives on another node.
type Deliverer interface {
	Deliver(ctx context.Context, m *plan.Message) (*plan.Outcome, *dsn.Error)
}

// Options are what an Agent is made of.
type Options struct {
	Directory *directory.Directory
	Deliverer Deliverer
	Clock     clock.Clock
	// OverQuotaTemporary makes mail for a full mailbox wait.
	OverQuotaTemporary bool
}

// Agent delivers into a store. Safe for concurrent use.
type Agent struct {
	o Options
}

// New makes an Agent.
func New(o Options) *Agent { return &Agent{o: o} }

// Deliver implements agent.Agent, one recipient after the other.
func (a *Agent) Deliver(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	now := a.o.Clock.Now()
	for _, i := range r.Recipients {
		if ctx.Err() != nil {
			return
		}
		out, err := a.deliver(ctx, r, i, now)
		if err != nil && err.Temporary() && ctx.Err() != nil {
			return // the shutdown is the reason
		}
		if err != nil {
			report(agent.Result{Recipient: i, Relay: "virtual", Err: err})
			continue
		}
		result := agent.Result{Recipient: i, Relay: "virtual", Action: agent.Sent, Text: out.Text(), Effect: queue.EffectStore}
		if out.Durable {
			result.Effect = queue.EffectFinal
		}
		report(result)
	}
}

func (a *Agent) deliver(ctx context.Context, r *agent.Request, i int, now time.Time) (*plan.Outcome, *dsn.Error) {
	to := &r.Envelope.Recipients[i]
	asked := a.o.Clock.Now()
	decided := a.o.Directory.Destination(ctx, to.Address)
	if decided.Err != nil {
		return nil, decided.Err
	}
	final := trace.Final{ReturnPath: r.Envelope.Sender.Path(), To: to.Address, Original: to.Original}
	out, failed := a.o.Deliverer.Deliver(ctx, &plan.Message{
		Account: mailstore.AccountOf(decided.Found.Mailbox).AskedAt(asked), From: r.Envelope.Sender, To: to.Address,
		ID:      envelope.DeliveryID(r.Envelope.ID, to.Address),
		Replay:  r.Replay,
		Date:    now,
		Prefix:  final.Append(make([]byte, 0, 256)),
		Content: r.Content, Body: r.Envelope.Body, UTF8: r.Envelope.UTF8,
	})
	if failed != nil && failed.Status == dsn.MailboxFull && a.o.OverQuotaTemporary {
		failed = dsn.Wrap(dsn.MailboxFullNow, failed.Text, failed)
	}
	return out, failed
}
