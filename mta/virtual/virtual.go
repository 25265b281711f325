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
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// Store takes messages: *mailstore.Store here, an LMTP client when a mailbox
// lives on another node.
type Store interface {
	Deliver(ctx context.Context, a mailstore.Account, d *mailstore.Delivery) error
}

// Options are the parameters of an Agent.
type Options struct {
	// OverQuotaTemporary makes mail for a full mailbox wait.
	OverQuotaTemporary bool
}

// Agent delivers into a store. Safe for concurrent use.
type Agent struct {
	directory *directory.Directory
	store     Store
	clock     clock.Clock
	options   Options
}

// New makes an Agent.
func New(d *directory.Directory, s Store, c clock.Clock, o Options) *Agent {
	return &Agent{directory: d, store: s, clock: c, options: o}
}

// Deliver implements agent.Agent, one recipient after the other.
func (a *Agent) Deliver(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	now := a.clock.Now()
	for _, i := range r.Recipients {
		if ctx.Err() != nil {
			return
		}
		result := agent.Result{
			Recipient: i, Relay: "virtual", Action: agent.Sent, Text: "delivered to maildir", Effect: queue.EffectStore,
		}
		err := a.deliver(ctx, r, i, now)
		if err != nil && err.Temporary() && ctx.Err() != nil {
			return // the shutdown is the reason
		}
		if err != nil {
			result = agent.Result{Recipient: i, Relay: "virtual", Err: err}
		}
		report(result)
	}
}

func (a *Agent) deliver(ctx context.Context, r *agent.Request, i int, now time.Time) *dsn.Error {
	to := &r.Envelope.Recipients[i]
	asked := a.clock.Now()
	decided := a.directory.Destination(ctx, to.Address)
	if decided.Err != nil {
		return decided.Err
	}
	final := trace.Final{ReturnPath: r.Envelope.Sender.Path(), To: to.Address, Original: to.Original}
	failed := mailstore.DSN(a.store.Deliver(ctx, mailstore.AccountOf(decided.Found.Mailbox).AskedAt(asked), &mailstore.Delivery{
		ID:      envelope.DeliveryID(r.Envelope.ID, to.Address),
		Replay:  r.Replay,
		Date:    now,
		Prefix:  final.Append(make([]byte, 0, 256)),
		Content: r.Content,
	}))
	if failed != nil && failed.Status == dsn.MailboxFull && a.options.OverQuotaTemporary {
		failed = dsn.Wrap(dsn.MailboxFullNow, failed.Text, failed)
	}
	return failed
}
