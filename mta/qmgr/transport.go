package qmgr

import (
	"sync"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/fifo"
	"toastmaster/mta/agent"
)

// transport schedules the jobs of one transport.
type transport struct {
	manager   *Manager
	name      string
	agentName string
	agent     agent.Agent
	limits    Limits

	mu           sync.Mutex
	destinations map[string]*destination
	// ready are the destinations with a job and room for it, in the order of
	// their turns.
	ready   fifo.List[*destination]
	workers int
	sweepAt int
}

func newTransport(m *Manager, t Transport) *transport {
	return &transport{
		manager: m, name: t.Name, agentName: t.AgentName, agent: t.Agent, limits: t.Limits, destinations: map[string]*destination{}, sweepAt: firstSweep,
	}
}

// firstSweep is from how many destinations on those are looked for that are
// kept only because they were dead or had failures.
const firstSweep = 1000

// schedule queues a job, or suspends it when its destination is dead.
func (t *transport) schedule(j *job) {
	t.mu.Lock()
	d := t.destination(j.route.Nexthop)
	if why := d.dead(t.manager.o.Clock.Now(), j.msg.item.Flushed); why != nil {
		t.mu.Unlock()
		j.suspend(why)
		return
	}
	d.jobs.Push(j)
	t.makeReady(d)
	t.hire()
	t.mu.Unlock()
}

func (t *transport) destination(nexthop string) *destination {
	d := t.destinations[nexthop]
	if d == nil {
		if len(t.destinations) >= t.sweepAt {
			t.sweep()
		}
		d = &destination{nexthop: nexthop, window: t.limits.Initial}
		t.destinations[nexthop] = d
	}
	return d
}

// sweep forgets destinations that are dead no more. It runs when their number
// has doubled, so its cost per destination is constant.
func (t *transport) sweep() {
	now := t.manager.o.Clock.Now()
	for name, d := range t.destinations {
		if d.idle() && d.dead(now, time.Time{}) == nil {
			delete(t.destinations, name)
		}
	}
	t.sweepAt = max(firstSweep, 2*len(t.destinations))
}

// makeReady gives d a turn if it has a job and room for it.
func (t *transport) makeReady(d *destination) {
	if !d.turn && d.jobs.Len() > 0 && d.busy < d.window {
		d.turn = true
		t.ready.Push(d)
	}
}

// work runs jobs until there is none that may run.
func (t *transport) work() {
	for {
		d, j := t.take()
		if j == nil {
			return
		}
		j.run(t.manager.ctx)
		for _, waiting := range t.finish(d, j) {
			waiting.suspend(j.site)
		}
		j.msg.jobDone()
	}
}

// take picks the next job. At shutdown the jobs that wait are only counted
// off: their messages are left where they are.
func (t *transport) take() (*destination, *job) {
	for {
		d, j := t.pick()
		if j == nil || t.manager.ctx.Err() == nil {
			return d, j
		}
		t.finish(d, j)
		j.msg.jobDone()
	}
}

func (t *transport) pick() (*destination, *job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ready.Len() == 0 {
		t.workers--
		return nil, nil
	}
	d, _ := t.ready.Pop()
	d.turn = false
	j, _ := d.jobs.Pop()
	d.busy++
	t.makeReady(d)
	t.hire()
	return d, j
}

// hire starts a worker when there is a turn to take and room for one. Called
// with the lock held.
func (t *transport) hire() {
	if t.ready.Len() > 0 && t.workers < t.limits.Concurrency {
		t.workers++
		t.manager.workers.Go(t.work)
	}
}

// finish takes the job's outcome into account. It returns the jobs that wait
// for a destination that has just been found dead.
func (t *transport) finish(d *destination, j *job) []*job {
	t.mu.Lock()
	defer t.mu.Unlock()
	d.busy--
	var suspended []*job
	switch {
	case j.site != nil:
		d.failure(t.manager.config.DestinationCohorts)
		if d.window == 0 {
			d.why = j.site
			d.since = t.manager.o.Clock.Now()
			d.until = d.since.Add(t.manager.config.MinimalBackoffTime)
			suspended = d.jobs.Drain()
			d.turn = false
			t.ready.Remove(d)
		}
	case t.manager.ctx.Err() == nil:
		d.success(t.limits)
	}
	t.makeReady(d)
	if d.idle() && d.window > 0 && d.cohorts == 0 { // else its failures would be forgotten
		delete(t.destinations, d.nexthop)
	}
	return suspended
}

// destination is one nexthop of a transport. The transport's lock guards it.
type destination struct {
	nexthop string
	jobs    fifo.List[*job]
	busy    int
	turn    bool // it stands in transport.ready
	// window is how many jobs may run at once; 0 means dead since and until
	// these times, because of why.
	window       int
	since, until time.Time
	why          *dsn.Error
	// gain and loss are the fractions of the next step up and down, cohorts
	// the rounds of failures without a success.
	gain, loss, cohorts float64
}

func (d *destination) idle() bool { return d.busy == 0 && d.jobs.Len() == 0 }

// dead says why nothing is tried now, nil if it is. A destination gets one
// chance with a window of one when its time is over, or when the message was
// flushed after it was found dead: a flush of a thousand messages tries a site
// that is still down once, not a thousand times.
func (d *destination) dead(now, flushed time.Time) *dsn.Error {
	if d.window > 0 {
		return nil
	}
	if now.Before(d.until) && !flushed.After(d.since) {
		return d.why
	}
	d.window, d.gain, d.loss, d.cohorts = 1, 0, 0, 0
	return nil
}

// success raises the window by 1/window, but not beyond what is used: a
// destination with one job after the other does not need a window of twenty.
func (d *destination) success(l Limits) {
	d.cohorts = 0
	d.loss = 0
	if d.window == 0 { // begun before it was found dead, and it lives
		d.window = 1
		return
	}
	if d.window >= l.Destination || d.window >= d.busy+l.Initial {
		return
	}
	d.gain += 1 / float64(d.window)
	if d.gain >= 1 {
		d.window++
		d.gain = 0
	}
}

// failure lowers the window by 1/window. A round of as many failures as the
// window is large is a cohort; after limit of them the destination is dead.
func (d *destination) failure(limit int) {
	if d.window == 0 {
		return
	}
	share := 1 / float64(d.window)
	d.gain = 0
	d.cohorts += share
	d.loss += share
	const almost = 0.999 // a sum of n times 1/n may be a little less than 1
	switch {
	case d.cohorts >= float64(limit)*almost:
		d.window = 0
	case d.loss >= almost && d.window > 1:
		d.window--
		d.loss = 0
	}
}
