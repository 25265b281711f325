package qmgr

import (
	"strings"

	"toastmaster/configs"
	"toastmaster/mta/agent"
)

// Renewal is what may change while a Manager runs.
type Renewal struct {
	Params     configs.Qmgr
	Resolver   agent.Resolver
	Reporter   agent.Reporter
	Transports []Transport
	// ContentFilters are the content filters of the configuration, "transport:nexthop".
	ContentFilters []string
	// SoftBounce is main.soft_bounce: what fails for good is tried again.
	SoftBounce bool
	// Routes says that mail may go other ways now: what waits for its turn is resolved anew.
	Routes bool
}

// settings are a Renewal as a Manager has it. They do not change.
type settings struct {
	params     configs.Qmgr
	resolver   agent.Resolver
	reporter   agent.Reporter
	transports map[string]*transport
	filters    []string
	softBounce bool
}

// config are the parameters of now.
func (m *Manager) config() *configs.Qmgr { return &m.now.Load().params }

// settingsOf makes settings. A transport that was there before stays the same one: what runs by it, and what is known of its
// destinations. With another agent it is another one.
func (m *Manager) settingsOf(r Renewal, before map[string]*transport) *settings {
	s := &settings{params: r.Params, resolver: r.Resolver, reporter: r.Reporter, transports: map[string]*transport{}, filters: r.ContentFilters, softBounce: r.SoftBounce}
	for _, t := range r.Transports {
		if known := before[t.Name]; known != nil && known.agentName == t.AgentName {
			s.transports[t.Name] = known
			continue
		}
		s.transports[t.Name] = newTransport(m, t)
	}
	return s
}

// Renew gives the Manager other parameters and transports. The active window stays as it is, with what is known of destinations; deliveries
// that run go on. What waits for its turn by a transport that is there no more is resolved anew, and with Routes all that waits. What counts at the
// beginning of Run alone (resolve_concurrency, end_timeout) stays. Safe for concurrent use, before Run, too.
func (m *Manager) Renew(r Renewal) {
	m.renewing.Lock()
	defer m.renewing.Unlock()
	if m.over {
		return
	}
	before := m.now.Load()
	now := m.settingsOf(r, before.transports)
	m.now.Store(now)
	m.closers.setLimit(r.Params.EndConcurrency)
	for _, t := range r.Transports {
		if known := now.transports[t.Name]; known == before.transports[t.Name] {
			known.renew(t)
		}
	}
	var waiting []*batch
	for name, t := range before.transports {
		switch gone := now.transports[name] != t; {
		case gone:
			waiting = append(waiting, t.takeAll(true)...)
		case r.Routes:
			waiting = append(waiting, t.takeAll(false)...)
		}
	}
	if len(waiting) > 0 {
		m.workers.Go(func() { m.resolveAnew(waiting) })
	}
}

// resolveAnew gives the jobs of batches another way, or the same, in their order.
func (m *Manager) resolveAnew(waiting []*batch) {
	for _, b := range waiting {
		b.jobs[0].msg.again(b.jobs)
	}
}

// again resolves the recipients of jobs that nobody has begun. It is their end: others take their places.
func (msg *message) again(jobs []*job) {
	if msg.manager.ctx.Err() == nil {
		var recipients []int
		for _, j := range jobs {
			recipients = append(recipients, j.recipients...)
		}
		var others []*job
		// Without jobs, after a panic, these recipients wait for the next attempt.
		_ = msg.fenced("qmgr", func() error {
			others = msg.resolve(recipients)
			return nil
		})
		msg.schedule(others)
	}
	for range jobs {
		msg.jobDone()
	}
}

// renew gives a transport other limits. What it knows of destinations stays within them.
func (t *transport) renew(to Transport) {
	t.mu.Lock()
	defer t.mu.Unlock()
	mailboxes := t.limits.Load().Mailbox > 0
	l := to.Limits
	t.limits.Store(&l)
	t.agent = to.Agent
	t.sites.delay, t.self.delay = l.DestinationDelay, l.TransportDelay
	t.resting = t.resting && l.TransportDelay > 0
	for key, d := range t.destinations {
		d.resting = d.resting && l.DestinationDelay > 0
		d.initial, d.limit = l.Initial, l.Destination
		if mailboxes && l.Mailbox > 0 && strings.Contains(key, "@") { // no nexthop has one
			d.initial, d.limit = l.Mailbox, l.Mailbox
		}
		if d.window > 0 && d.cohorts == 0 { // nothing speaks against what is allowed now
			d.window = max(d.window, d.initial)
		}
		d.window = min(d.window, d.limit) // 0, dead, stays
		if s := t.turns.Site(key); s != nil {
			t.turns.Offer(s)
		}
	}
	t.hire()
}

// takeAll takes all that waits. With retired nothing is queued here any more.
func (t *transport) takeAll(retired bool) []*batch {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retired = t.retired || retired
	waiting := t.turns.DrainAll()
	for _, d := range t.destinations {
		d.waiting = 0
		t.forget(d)
	}
	return waiting
}
