package qmgr

import (
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// message is a queue item in the active window.
type message struct {
	manager   *Manager
	item      *queue.Item
	activated time.Time
	// expired says that this attempt is the last: what fails now goes back.
	expired bool
	jobs    atomic.Int32 // not yet done, and one for admit
	closed  bool         // given back to the queue, by end

	mu        sync.Mutex
	failed    []agent.ReportRecipient // permanent, or expired
	deferred  []agent.ReportRecipient
	succeeded []agent.ReportRecipient // only those with NOTIFY=SUCCESS, and expanded
}

func newMessage(m *Manager, item *queue.Item) *message {
	now := m.o.Clock.Now()
	return &message{
		manager: m, item: item, activated: now,
		expired: m.expired(item, now),
	}
}

// fenced runs f, a step of this message's way; name says whose step it is.
// A panic of f is in the log and is an error.
func (msg *message) fenced(name string, f func() error) error {
	return service.Fenced(msg.manager.o.Log, f, "service", name, "id", msg.item.Envelope.ID)
}

// lifetime is how old a message may become. Zero means one attempt.
func (m *Manager) lifetime(e *envelope.Envelope) time.Duration {
	if e.Sender.IsNull() {
		return m.config().BounceQueueLifetime
	}
	return m.config().QueueLifetime
}

// age is how long a message has been here. When it arrived after now the clock
// was ahead, and nobody knows: then it is as old as its attempts say, which are
// at most as far apart as backoff has it. Otherwise it would be tried until the
// clock is where it was.
func (m *Manager) age(item *queue.Item, now time.Time) time.Duration {
	age := now.Sub(item.Envelope.Arrived)
	if age >= 0 {
		return age
	}
	return m.tried(item.Attempts)
}

// tried is for how long a message was tried that had so many attempts, when none came late.
func (m *Manager) tried(attempts int) (age time.Duration) {
	for range min(attempts, maxCountedAttempts) {
		age += m.backoff(age)
	}
	return age
}

// expired says that the next failure of a message is the last. Its age alone does not: a clock that was set forward, or a
// machine that was off, makes every message old that was tried once or twice. Half of its lifetime it must have
// been tried, as far as attempts tell; a host that was busy may have come late with the other half.
func (m *Manager) expired(item *queue.Item, now time.Time) bool {
	lifetime := m.lifetime(item.Envelope)
	return m.age(item, now) >= lifetime && m.tried(item.Attempts) >= lifetime/2
}

// maxCountedAttempts bounds the sum in age; by then every lifetime is over or the
// message is tried for ever. It is no parameter: it bounds arithmetic
// and no attempt.
const maxCountedAttempts = 100_000

// backoff is how long a message of that age waits.
func (m *Manager) backoff(age time.Duration) time.Duration {
	return min(max(age, m.config().MinimalBackoffTime), m.config().MaximalBackoffTime)
}

// settle records the outcome of one recipient: in the queue, in the log and,
// unless it is a success nobody asked about, for the end of the attempt.
// by is the agent, "" when none had it.
func (msg *message) settle(started time.Time, r agent.Result, by string) {
	now := msg.manager.o.Clock.Now()
	if r.Err != nil {
		msg.settleFailure(started, now, r, by)
		return
	}
	if r.Status == 0 {
		r.Status = dsn.OK
	}
	if err := msg.item.Done(r.Recipient, r.Effect); err != nil {
		// It was delivered; the queue may hand it out once more.
		msg.manager.o.Log.Error("recipient not crossed off", "id", msg.item.Envelope.ID, "cause", err)
	}
	msg.log(started, now, &r, by, r.Status, "sent", r.Text)
	confirm, asked := msg.confirms(r.Recipient), msg.item.Envelope.Recipients[r.Recipient].Notify.Wants(envelope.NotifySuccess)
	switch {
	case r.Action == agent.Transferred && confirm && !asked:
		r.Action = agent.Relayed // nobody asks the next host for a report
	case r.Action == agent.Transferred, !asked && !confirm:
		return
	}
	msg.mu.Lock()
	defer msg.mu.Unlock()
	msg.succeeded = append(msg.succeeded, agent.ReportRecipient{
		Recipient: r.Recipient, Status: r.Status, Text: r.Text, Action: r.Action, At: now, Confirm: confirm,
	})
}

// confirms says that the sender was told that his message waits for a recipient, and hears of its delivery, too (Postfix
// confirm_delay_cleared).
func (msg *message) confirms(i int) bool {
	return msg.item.Warned && msg.manager.config().ConfirmDelayCleared && msg.item.Envelope.Recipients[i].Notify.Wants(envelope.NotifyDelay)
}

// settleExpanded is settle for an alias that was expanded. Its report is all
// there is of it, so it is crossed off when that lies in the queue.
func (msg *message) settleExpanded(i int) {
	now := msg.manager.o.Clock.Now()
	r := agent.Result{Recipient: i, Action: agent.Expanded, Status: dsn.OK, Text: "alias expanded", Relay: "none"}
	msg.log(msg.activated, now, &r, "", r.Status, "expanded", r.Text)
	msg.mu.Lock()
	defer msg.mu.Unlock()
	msg.succeeded = append(msg.succeeded, agent.ReportRecipient{
		Recipient: i, Status: r.Status, Text: r.Text, Action: r.Action, At: now,
	})
}

func (msg *message) settleFailure(started, now time.Time, r agent.Result, by string) {
	if msg.manager.now.Load().softBounce {
		r.Err = r.Err.Soft()
	}
	entry := agent.ReportRecipient{Recipient: r.Recipient, Err: r.Err, At: now}
	status, list := "bounced", &msg.failed
	switch {
	case !r.Err.Temporary():
	case msg.item.Expired():
		status = "expired"
		entry.Err = force(r.Err)
	case msg.expired:
		status = "expired"
		entry.Err = expire(r.Err)
	default:
		status, list = "deferred", &msg.deferred
		msg.item.Failed(r.Recipient, r.Err)
	}
	msg.log(started, now, &r, by, entry.Err.Status, status, entry.Err.Text)
	msg.mu.Lock()
	defer msg.mu.Unlock()
	*list = append(*list, entry)
}

// expire makes 4.4.7 of the last temporary error (RFC 3463). Cause and remote
// reply stay, so the report says what the trouble was.
func expire(last *dsn.Error) *dsn.Error {
	e := *last
	e.Status = dsn.Expired
	e.Code = 0
	e.Text = "Delivery time expired; last reason: " + last.Text
	e.Cause = last
	return &e
}

// errForced is the reason where a message that was made to expire was not tried before, in Postfix's words.
var errForced = dsn.New(dsn.Make(4, 7, 0), "message is administratively expired")

// force is expire for a message that an operator made expire.
func force(last *dsn.Error) *dsn.Error {
	e := *last
	e.Code = 0
	if last != errForced {
		e.Status, e.Cause = dsn.Expired, last
		e.Text = errForced.Text + "; last reason: " + last.Text
	}
	return &e
}

// log writes the one line of a recipient and attempt. delays= is Postfix's:
// before the active window, in it, connecting, transmitting.
func (msg *message) log(started, now time.Time, r *agent.Result, by string, status dsn.Status, word, text string) {
	env := msg.item.Envelope
	to := &env.Recipients[r.Recipient]
	connected := started
	if r.Connected.After(started) {
		connected = r.Connected
	}
	event := msglog.Attempt{
		ID: env.ID, From: env.Sender.String(), To: to.Address.String(), Agent: by, Relay: r.Relay,
		Delay: max(now.Sub(env.Arrived), 0),
		Delays: [4]time.Duration{
			max(msg.activated.Sub(env.Arrived), 0), started.Sub(msg.activated), connected.Sub(started), now.Sub(connected),
		},
		DSN: status, Status: word, Text: text,
	}
	if to.Original != to.Address {
		event.OrigTo = to.Original.String()
	}
	if r.Err != nil {
		event.Err = r.Err.Cause
	}
	msg.manager.o.Log.Event(event)
}

// jobDone counts a job off; the last one ends the attempt.
func (msg *message) jobDone() {
	if msg.jobs.Add(-1) > 0 {
		return
	}
	if !msg.eventful() {
		msg.end()
		return
	}
	msg.manager.closers.do(msg.end)
}
