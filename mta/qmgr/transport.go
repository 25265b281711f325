package qmgr

import (
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/internal/fair"
	"toastmaster/mta/agent"
)

// transport schedules the jobs of one transport: the domains that send take turns, and of
// each the destinations that have room.
type transport struct {
	manager   *Manager
	name      string
	agentName string
	limits    atomic.Pointer[Limits]

	mu           sync.Mutex
	agent        agent.Agent
	retired      bool // see takeAll
	destinations map[string]*destination
	turns        *fair.Turns[*batch, *destination]
	workers      int
	sweepAt      int
	// sites and self are those that rest after a delivery, and the transport that rests
	// after a beginning.
	sites, self pause
	resting     bool
}

// partTimes is how much of a transport's concurrency one domain that sends may have, times
// what is free: four fifths, when it is alone. What is left is for who comes next,
// while it waits for sites that are slow.
const partTimes = 4

func newTransport(m *Manager, t Transport) *transport {
	made := &transport{
		manager: m, name: t.Name, agentName: t.AgentName, agent: t.Agent,
		destinations: map[string]*destination{}, sweepAt: firstSweep,
	}
	made.limits.Store(&t.Limits)
	o := fair.Options[*batch, *destination]{
		SiteFull: func(s *fair.Site[*batch, *destination]) bool { return s.Taken() >= s.Data.room(made.limits.Load()) },
		Data:     func(key string) *destination { return made.destination(key, 0) },
	}
	o.TenantFull = func(x *fair.Tenant[*batch, *destination]) bool {
		// A delivery into a mailbox waits for nobody's host.
		return made.limits.Load().Mailbox == 0 && fair.Share(x.Out().Entries, made.limits.Load().Concurrency-made.turns.Out().Entries, partTimes, 1)
	}
	made.turns = fair.New(o)
	made.sites = pause{delay: t.Limits.DestinationDelay, wake: made.rested}
	made.self = pause{delay: t.Limits.TransportDelay, wake: func(*destination) { made.resting = false }}
	return made
}

// firstSweep is from how many destinations on those are looked for that are
// kept only because they were dead or had failures.
const firstSweep = 1000

// schedule queues the jobs of a message for a destination, or suspends them when that is dead. false says that this is no transport any
// more, and nothing was done.
func (t *transport) schedule(b *batch) bool {
	msg := b.jobs[0].msg
	now := t.manager.o.Clock.Now()
	config := t.manager.config()
	t.mu.Lock()
	if t.retired {
		t.mu.Unlock()
		return false
	}
	d := t.destination(b.key, b.limit)
	if why := d.dead(now, msg.item.Flushed, config.MinimalBackoffTime); why != nil {
		t.mu.Unlock()
		for _, j := range b.jobs {
			j.suspend(why)
		}
		return true
	}
	d.waiting += len(b.jobs)
	t.turns.Push(msg.item.Tenant(), b.key, b)
	t.hire()
	clogs, jobs := d.clogs(now, config), d.waiting+d.busy
	t.mu.Unlock()
	if clogs {
		t.manager.o.Log.Warn("destination takes up much of the active window", "transport", t.name, "destination", b.key,
			"deliveries", jobs, "active_limit", config.ActiveLimit)
	}
	return true
}

// destination finds or makes the one of a key; limit is its concurrency, 0 for what the
// transport's destinations have.
func (t *transport) destination(key string, limit int) *destination {
	d := t.destinations[key]
	if d == nil {
		if len(t.destinations) >= t.sweepAt {
			t.sweep()
		}
		d = &destination{key: key, initial: t.limits.Load().Initial, limit: t.limits.Load().Destination}
		if limit > 0 {
			d.initial, d.limit = limit, limit
		}
		d.window = d.initial
		t.destinations[key] = d
	}
	return d
}

// sweep forgets destinations that are dead no more. It runs when their number
// has doubled, so its cost per destination is constant.
func (t *transport) sweep() {
	now := t.manager.o.Clock.Now()
	for key, d := range t.destinations {
		if t.idle(d) && d.dead(now, time.Time{}, t.manager.config().MinimalBackoffTime) == nil {
			delete(t.destinations, key)
		}
	}
	t.sweepAt = max(firstSweep, 2*len(t.destinations))
}

func (t *transport) idle(d *destination) bool {
	return d.busy == 0 && !d.resting && t.turns.Site(d.key) == nil
}

// forget forgets a destination of which nothing is to be remembered.
func (t *transport) forget(d *destination) {
	if t.destinations[d.key] == d && t.idle(d) && d.window > 0 && d.cohorts == 0 { // else its failures would be forgotten
		delete(t.destinations, d.key)
	}
}

// rested is the end of destination_rate_delay.
func (t *transport) rested(d *destination) {
	d.resting = false
	if s := t.turns.Site(d.key); s != nil {
		t.turns.Offer(s)
	}
	t.forget(d)
}

// work runs jobs until there is none that may run.
func (t *transport) work() {
	for {
		j := t.pick()
		if j == nil {
			return
		}
		j.run(t.manager.ctx)
		for _, waiting := range t.finish(j) {
			waiting.suspend(j.site)
		}
		j.msg.jobDone()
	}
}

// abandon counts the jobs off that wait at shutdown: their messages are left where they are.
func (t *transport) abandon() {
	t.mu.Lock()
	waiting := t.turns.DrainAll()
	t.mu.Unlock()
	for _, b := range waiting {
		for _, j := range b.jobs {
			j.msg.jobDone()
		}
	}
}

// pick takes the next job.
func (t *transport) pick() *job {
	if t.manager.ctx.Err() != nil {
		t.abandon()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.resting {
		t.workers--
		return nil
	}
	b, lane := t.turns.Next()
	if b == nil {
		t.workers--
		return nil
	}
	j := b.take()
	if len(b.jobs) > 0 {
		t.turns.Push(lane.Tenant.Key, b.key, b)
	}
	lane.Take(1)
	j.lane, j.by = lane, t.agent
	lane.Site.Data.waiting--
	lane.Site.Data.busy++
	if t.self.delay > 0 {
		t.resting = true
		t.rest(&t.self, nil)
	}
	t.hire()
	return j
}

// hire starts a worker when there is a turn to take and room for one. Called
// with the lock held.
func (t *transport) hire() {
	if !t.resting && t.turns.Ready() && t.workers < t.limits.Load().Concurrency {
		t.workers++
		t.manager.workers.Go(t.work)
	}
}

// finish takes the job's outcome into account. It returns the jobs that wait
// for a destination that has just been found dead.
func (t *transport) finish(j *job) []*job {
	t.mu.Lock()
	defer t.mu.Unlock()
	site := j.lane.Site
	d := site.Data
	d.busy--
	var suspended []*job
	switch {
	case j.site != nil:
		d.failure(t.limits.Load())
		if d.window == 0 {
			d.why = j.site
			d.since = t.manager.o.Clock.Now()
			d.until = d.since.Add(t.manager.config().MinimalBackoffTime)
			for _, b := range t.turns.Drain(site) {
				suspended = append(suspended, b.jobs...)
			}
			d.waiting = 0
		}
	case t.manager.ctx.Err() == nil:
		d.success(t.limits.Load())
	}
	if t.manager.config().FeedbackDebug {
		t.manager.o.Log.Info("concurrency", "transport", t.name, "destination", d.key, "failed", j.site != nil,
			"concurrency", d.window, "busy", d.busy, "gain", d.gain, "loss", d.loss, "cohorts", d.cohorts)
	}
	if t.sites.delay > 0 && !d.resting {
		d.resting = true
		t.rest(&t.sites, d)
	}
	j.lane.Done(1)
	t.forget(d)
	return suspended
}
