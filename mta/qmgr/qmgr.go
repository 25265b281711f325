package qmgr

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// Limits bound a transport.
type Limits struct {
	// Concurrency is how many jobs run at once in all.
	Concurrency int
	// Initial and Destination are the first and the highest concurrency of
	// one destination.
	Initial, Destination int
	// Recipients is how many recipients one job has at most.
	Recipients int
	// Mailbox is the concurrency of one recipient, when a job has no other; 0: the nexthop is
	// what counts.
	Mailbox int
	// Cohorts is after how many rounds of failures a destination is dead, Positive and
	// Negative by how much a success and a failure change its concurrency.
	Cohorts            int
	Positive, Negative configs.Feedback
	// DestinationDelay is for how long a destination rests after a delivery, TransportDelay
	// the time between two beginnings.
	DestinationDelay, TransportDelay time.Duration
}

// LocalLimits are those of deliveries into local mailboxes: the concurrency of
// a domain is that of the disk, so there is no other limit.
func LocalLimits(c configs.Qmgr) Limits {
	n := c.VirtualConcurrency
	l := Limits{Concurrency: n, Initial: n, Destination: n, Recipients: c.DestinationRecipients, Mailbox: min(n, c.MailboxConcurrency)}
	return l.learning(c)
}

// RemoteLimits are those of deliveries to other systems.
func RemoteLimits(c configs.Qmgr) Limits {
	l := Limits{
		Concurrency: c.TransportConcurrency, Initial: min(c.InitialDestination, c.DestinationLimit),
		Destination: c.DestinationLimit, Recipients: c.DestinationRecipients,
		DestinationDelay: c.DestinationRateDelay, TransportDelay: c.TransportRateDelay,
	}
	return l.learning(c)
}

// learning adds how a destination's concurrency changes. The texts were checked when the
// configuration was read.
func (l Limits) learning(c configs.Qmgr) Limits {
	l.Cohorts = c.DestinationCohorts
	l.Positive, _ = configs.ParseFeedback(c.PositiveFeedback)
	l.Negative, _ = configs.ParseFeedback(c.NegativeFeedback)
	return l
}

// Transport is a way out of the queue: what the resolver calls it, what delivers, and
// what bounds it.
type Transport struct {
	Name  string
	Agent agent.Agent
	// AgentName is what transport.agent calls the agent, for the log.
	AgentName string
	Limits    Limits
}

// Options are what a Manager is made of.
type Options struct {
	Queue *queue.Queue
	// Renewal is what it begins with.
	Renewal
	// Deferred is told of a message before it is deferred, with the domains of the recipients
	// who were not reached (mta/flush); nil: nobody wants to know.
	Deferred func(ctx context.Context, id envelope.QueueID, domains []string)
	Log      *msglog.Log
	Clock    clock.Clock
}

// Manager is the queue manager. It is a service.Service.
type Manager struct {
	// o has what does not change.
	o   Options
	now atomic.Pointer[settings]
	// renewing has one Renew after the other; over says that Run ends, and none comes any more.
	renewing sync.Mutex
	over     bool
	closers  pool

	// Of a Run.
	ctx     context.Context // what agents and the resolver get
	ends    context.Context // of the ends of attempts; outlives ctx by end_timeout
	workers sync.WaitGroup
}

// New makes a Manager.
func New(o Options) *Manager {
	m := &Manager{o: o}
	m.now.Store(m.settingsOf(o.Renewal, nil))
	m.closers = pool{limit: o.Params.EndConcurrency, wait: &m.workers}
	return m
}

// Name is "qmgr".
func (m *Manager) Name() string { return "qmgr" }

// Run manages the queue until ctx ends. It returns nil after all agents have
// returned, and the attempts that had a result have ended or end_timeout has
// passed. It can be called once.
func (m *Manager) Run(ctx context.Context) error {
	m.ctx = ctx
	ends, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	m.ends = ends
	var pullers sync.WaitGroup
	for range m.config().ResolveConcurrency {
		pullers.Go(func() { m.pull(ctx) })
	}
	pullers.Wait()
	m.renewing.Lock()
	m.over = true // what it begins is waited for
	m.renewing.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.workers.Wait()
	}()
	timer := m.o.Clock.NewTimer(m.config().EndTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C():
		cancel()
		<-done
	}
	return nil
}

// nextRetry is the wait after an error of the queue. It only keeps a failing
// disk from making a busy loop, so it is no parameter.
const nextRetry = time.Second

// pull moves messages into the active window until ctx ends or the queue is
// closed.
func (m *Manager) pull(ctx context.Context) {
	for {
		item, err := m.o.Queue.Next(ctx)
		switch {
		case err == nil:
			m.admit(item)
			continue
		case ctx.Err() != nil || errors.Is(err, queue.ErrClosed):
			return
		}
		m.o.Log.Error("no message taken from the queue", "cause", err)
		if !m.sleep(ctx, nextRetry) {
			return
		}
	}
}

func (m *Manager) sleep(ctx context.Context, d time.Duration) bool {
	t := m.o.Clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// admit makes the jobs of a message and hands them to their transports.
func (m *Manager) admit(item *queue.Item) {
	msg := newMessage(m, item)
	var jobs []*job
	// Without jobs, after a panic, everybody waits for the next attempt.
	_ = msg.fenced("qmgr", func() error {
		jobs = msg.resolve(item.Pending())
		return nil
	})
	msg.jobs.Store(1)
	msg.schedule(jobs)
	msg.jobDone()
}

// schedule hands jobs to their transports. The caller has one of the message's own, so that it does not end meanwhile.
func (msg *message) schedule(jobs []*job) {
	msg.jobs.Add(int32(len(jobs)))
	for _, b := range batches(jobs) {
		if !b.transport.schedule(b) {
			msg.again(b.jobs)
		}
	}
}

// filterRoute is where mail for a recipient goes by a filter. What the configuration names, by a parameter or as a host in
// brackets, is the operator's word, as what his tables name: a filter may greet as this host does.
func (m *Manager) filterRoute(f envelope.Route, to addr.Address) agent.Route {
	chosen := m.config().DefaultFilterNexthop != ""
	if f.Nexthop != "" {
		chosen = strings.HasPrefix(f.Nexthop, "[") || slices.Contains(m.now.Load().filters, f.String())
	}
	return agent.Route{Transport: f.Transport, Nexthop: cmp.Or(f.Nexthop, m.config().DefaultFilterNexthop, to.Domain), Chosen: chosen}
}

// errDeferTransport is the reason of mail for a transport of qmgr.defer_transports, in Postfix's words.
var errDeferTransport = dsn.New(dsn.Make(4, 3, 2), "deferred transport")

// resolve finds the routes of recipients, which are pending. Those without a
// route are settled at once.
func (msg *message) resolve(recipients []int) []*job {
	m := msg.manager
	now := m.now.Load()
	ctx, cancel := context.WithTimeout(m.ctx, m.config().ResolveTimeout)
	defer cancel()
	g := grouping{msg: msg}
	for _, i := range recipients {
		to := &msg.item.Envelope.Recipients[i]
		if to.Refused != nil {
			msg.settle(msg.activated, agent.Result{Recipient: i, Err: to.Refused, Relay: "none"}, "")
			continue
		}
		if to.Expanded {
			msg.settleExpanded(i)
			continue
		}
		if msg.item.Expired() { // nobody is asked any more
			msg.settle(msg.activated, agent.Result{Recipient: i, Err: cmp.Or(msg.item.LastError(i), errForced), Relay: "none"}, "")
			continue
		}
		var route agent.Route
		err := msg.fenced("resolver", func() (err error) {
			if filter := msg.item.Envelope.Filter; filter != nil {
				route = m.filterRoute(*filter, to.Address)
				return nil
			}
			route, err = now.resolver.Resolve(ctx, msg.item.Envelope.Sender, to.Address)
			return err
		})
		t := now.transports[route.Transport]
		switch {
		case err != nil && m.ctx.Err() != nil: // shutdown: it stays as it is
		case err != nil:
			msg.settle(msg.activated, agent.Result{Recipient: i, Err: dsn.From(err), Relay: "none"}, "")
		case t == nil && route.Err != nil:
			msg.settle(msg.activated, agent.Result{Recipient: i, Err: route.Err, Relay: "none"}, "")
		case t == nil:
			err := dsn.Newf(dsn.Misconfigured, "Mail transport unavailable")
			err.Cause = errors.New("no transport " + route.Transport)
			msg.settle(msg.activated, agent.Result{Recipient: i, Err: err, Relay: "none"}, "")
		case !msg.item.Asked && slices.Contains(m.config().DeferTransports, t.name):
			msg.settle(msg.activated, agent.Result{Recipient: i, Err: errDeferTransport, Relay: "none"}, "")
		default:
			g.add(t, route, i)
		}
	}
	return g.jobs
}
