package qmgr

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/fair"
	"toastmaster/mta/agent"
)

// job is some recipients of one message for one destination: one call of an
// agent.
type job struct {
	msg        *message
	transport  *transport
	route      agent.Route
	recipients []int
	// lane and by, the agent, are set when it is picked.
	lane *fair.Lane[*batch, *destination]
	by   agent.Agent

	mu       sync.Mutex
	reported []bool // parallel to recipients
	// site is a failure of the destination as a whole, the last one reported.
	site *dsn.Error
}

// grouping collects the jobs of a message.
type grouping struct {
	msg  *message
	jobs []*job
	// open is the job of each destination that takes more recipients. It is
	// nil while there are few: most messages have one.
	open map[groupKey]*job
}

type groupKey struct {
	transport *transport
	nexthop   string
	chosen    bool
	status    dsn.Status
	text      string
}

func keyOf(t *transport, r agent.Route) groupKey {
	k := groupKey{transport: t, nexthop: r.Nexthop, chosen: r.Chosen}
	if r.Err != nil {
		k.status, k.text = r.Err.Status, r.Err.Text
	}
	return k
}

// few is up to how many jobs a search through them is cheaper than a map.
const few = 4

func (g *grouping) add(t *transport, r agent.Route, recipient int) {
	j := g.find(keyOf(t, r))
	if j != nil && len(j.recipients) < t.limits.Load().Recipients {
		j.recipients = append(j.recipients, recipient)
		return
	}
	j = &job{msg: g.msg, transport: t, route: r, recipients: []int{recipient}}
	g.jobs = append(g.jobs, j)
	if g.open == nil && len(g.jobs) > few {
		g.open = map[groupKey]*job{}
		for _, other := range g.jobs {
			g.open[keyOf(other.transport, other.route)] = other
		}
	}
	if g.open != nil {
		g.open[keyOf(t, r)] = j
	}
}

// find returns the last job for k.
func (g *grouping) find(k groupKey) *job {
	if g.open != nil {
		return g.open[k]
	}
	for _, j := range slices.Backward(g.jobs) {
		if keyOf(j.transport, j.route) == k {
			return j
		}
	}
	return nil
}

// run gives the job to its agent and settles every recipient. One that a panic
// of ours left out is pending, so the message is deferred for it.
func (j *job) run(ctx context.Context) {
	_ = j.msg.fenced("qmgr", func() error {
		j.attempt(ctx)
		return nil
	})
}

func (j *job) attempt(ctx context.Context) {
	m := j.msg.manager
	started := m.o.Clock.Now()
	j.reported = make([]bool, len(j.recipients))
	content, err := j.msg.item.Content()
	if err != nil {
		j.fail(started, dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err))
		return
	}
	defer j.closeContent(content)
	err = j.deliver(ctx, content, started)
	switch {
	case err != nil:
		j.fail(started, dsn.Wrap(dsn.MailSystem, "Temporary failure in the mail system", err))
	case ctx.Err() != nil: // shutdown: what was not reported stays in the queue
	default:
		j.fail(started, dsn.Wrap(dsn.MailSystem, "Temporary failure in the mail system", errNotReported))
	}
}

var errNotReported = errors.New("the agent did not report this recipient")

func (j *job) closeContent(c envelope.Content) {
	if err := c.Close(); err != nil {
		j.msg.manager.o.Log.Warn("content not closed", "id", j.msg.item.Envelope.ID, "cause", err)
	}
}

// deliver calls the agent behind a fence: its panic is its error.
func (j *job) deliver(ctx context.Context, content envelope.Content, started time.Time) error {
	request := &agent.Request{
		Envelope:   j.msg.item.Envelope,
		Recipients: j.recipients,
		Content:    content,
		Nexthop:    j.route.Nexthop,
		Chosen:     j.route.Chosen,
		Err:        j.route.Err,
		Replay:     j.msg.item.Replay,
		Activated:  j.msg.activated,
		Started:    started,
	}
	return j.msg.fenced(j.transport.name, func() error {
		j.by.Deliver(ctx, request, func(r agent.Result) { j.report(started, r) })
		return nil
	})
}

// report takes one result. A result about a recipient that is none of the
// request's, or the second about one, is a bug of the agent.
func (j *job) report(started time.Time, r agent.Result) {
	j.mu.Lock()
	at := slices.Index(j.recipients, r.Recipient)
	bug := at < 0 || j.reported[at]
	if !bug {
		j.reported[at] = true
		if r.Err != nil && r.Site {
			j.site = r.Err
		}
	}
	j.mu.Unlock()
	if bug {
		j.msg.manager.o.Log.Error("agent reported a recipient twice, or one that is not its own",
			"service", j.transport.name, "id", j.msg.item.Envelope.ID, "recipient", r.Recipient)
		return
	}
	j.msg.settle(started, r, j.transport.agentName)
}

// fail defers every recipient that was not reported.
func (j *job) fail(started time.Time, why *dsn.Error) {
	for at, i := range j.recipients {
		j.mu.Lock()
		open := !j.reported[at]
		j.reported[at] = true
		j.mu.Unlock()
		if open {
			j.msg.settle(started, agent.Result{Recipient: i, Err: why, Relay: "none"}, j.transport.agentName)
		}
	}
}

// suspend defers the whole job without a try, because its destination is dead.
func (j *job) suspend(why *dsn.Error) {
	err := *why
	err.Text = "Delivery temporarily suspended: " + why.Text
	if !err.Temporary() {
		err.Status = dsn.NoAnswer
	}
	_ = j.msg.fenced("qmgr", func() error {
		now := j.msg.manager.o.Clock.Now()
		for _, i := range j.recipients {
			j.msg.settle(now, agent.Result{Recipient: i, Err: &err, Relay: "none"}, "")
		}
		return nil
	})
	j.msg.jobDone()
}
