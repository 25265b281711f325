package qmgr

import (
	"context"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// end is the end of an attempt: reports are queued, and the message leaves
// the active window. No job of it runs any more, so there is no lock.
//
// It goes on during shutdown, because a report is what a sender is waiting
// for, until end_timeout is over. What is left then stays where it is: the next
// process has its successes from the journal, and tries the rest again.
func (msg *message) end() {
	m := msg.manager
	if msg.late() {
		return
	}
	if msg.fenced("qmgr", msg.finish) != nil && !msg.closed {
		ctx, cancel := context.WithTimeout(m.ends, m.config().EndTimeout)
		defer cancel()
		_ = msg.fenced("qmgr", func() error { return msg.close(ctx, msg.item.Warned) })
	}
}

// finish reports and closes. It returns nil: what fails is in the log.
func (msg *message) finish() error {
	m := msg.manager
	ctx := m.ends
	if msg.eventful() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.config().EndTimeout)
		defer cancel()
	}
	msg.reportFailures(ctx)
	msg.reportSuccess(ctx)
	if msg.untouched() || msg.late() {
		return nil
	}
	return msg.close(ctx, msg.item.Warned || msg.reportDelay(ctx))
}

// close gives the message back to the queue, once. It returns nil: what fails
// is in the log.
func (msg *message) close(ctx context.Context, warned bool) error {
	m := msg.manager
	msg.closed = true
	left := len(msg.item.Pending()) == 0
	if !left && m.o.Deferred != nil {
		_ = msg.fenced("flush", func() error {
			m.o.Deferred(ctx, msg.item.Envelope.ID, msg.waiting())
			return nil
		})
	}
	if err := msg.item.Close(ctx, msg.next(), warned); err != nil {
		// It is as safe as before, and the queue hands it out again.
		m.o.Log.Error("message not given back to the queue", "id", msg.item.Envelope.ID, "cause", err)
		return nil
	}
	if left {
		m.o.Log.Event(msglog.Removed{ID: msg.item.Envelope.ID, Reason: msg.reason()})
	}
	return nil
}

// waiting are the domains of the recipients who are still pending.
func (msg *message) waiting() []string {
	var list []string
	for _, i := range msg.item.Pending() {
		list = append(list, msg.item.Envelope.Recipients[i].Address.Domain)
	}
	return list
}

// eventful says that there is something to report or to defer, which waits
// for the disk.
func (msg *message) eventful() bool {
	return len(msg.failed)+len(msg.deferred)+len(msg.succeeded) > 0
}

// untouched says that the shutdown came before any recipient had a result.
// Such a message is left where it is; moving a window of thousands of them to
// the deferred queue would only delay the end.
func (msg *message) untouched() bool {
	return msg.manager.ctx.Err() != nil && len(msg.failed)+len(msg.deferred) == 0 && len(msg.item.Pending()) > 0
}

// late says that there is no time left to write what is not done.
func (msg *message) late() bool {
	return msg.manager.ends.Err() != nil && len(msg.item.Pending()) > 0
}

func (msg *message) reason() string {
	if (msg.expired || msg.item.Expired()) && len(msg.failed) > 0 {
		return "expired"
	}
	return "done"
}

// next is when the message is tried again: after as long as it is old, within
// the bounds, and not later than its last attempt is due.
func (msg *message) next() time.Time {
	m := msg.manager
	now := m.o.Clock.Now()
	age := m.age(msg.item, now)
	wait := m.backoff(age)
	if left := m.lifetime(msg.item.Envelope) - age; left > 0 && left < wait {
		wait = left
	}
	return now.Add(wait)
}

// reportFailures sends one report about all that failed for good, and crosses
// them off when it lies in the queue.
func (msg *message) reportFailures(ctx context.Context) {
	if len(msg.failed) == 0 {
		return
	}
	if err := msg.report(ctx, agent.Report{Kind: agent.Failure, Recipients: msg.failed}); err != nil {
		for _, f := range msg.failed {
			msg.item.Failed(f.Recipient, f.Err)
		}
		return
	}
	for _, f := range msg.failed {
		if err := msg.item.Done(f.Recipient, queue.EffectFinal); err != nil {
			msg.manager.o.Log.Error("recipient not crossed off", "id", msg.item.Envelope.ID, "cause", err)
		}
	}
}

func (msg *message) reportSuccess(ctx context.Context) {
	if len(msg.succeeded) == 0 {
		return
	}
	// After an error, which is logged, the recipients have their mail all the
	// same. One that was expanded had none: it waits for the next attempt.
	err := msg.report(ctx, agent.Report{Kind: agent.Success, Recipients: msg.succeeded})
	for _, s := range msg.succeeded {
		switch {
		case s.Action != agent.Expanded:
		case err != nil:
			msg.item.Failed(s.Recipient, dsn.Newf(dsn.MailSystem, "Delivery report not queued"))
		default:
			if err := msg.item.Done(s.Recipient, queue.EffectFinal); err != nil {
				msg.manager.o.Log.Error("recipient not crossed off", "id", msg.item.Envelope.ID, "cause", err)
			}
		}
	}
}

// reportDelay tells the sender once that his message waits.
func (msg *message) reportDelay(ctx context.Context) bool {
	m := msg.manager
	env := msg.item.Envelope
	after := m.config().DelayWarningTime
	now := m.o.Clock.Now()
	age := m.age(msg.item, now)
	if after == 0 || len(msg.deferred) == 0 || age < after {
		return false
	}
	r := agent.Report{Kind: agent.Delay, Recipients: msg.deferred, RetryUntil: now.Add(m.lifetime(env) - age)}
	return msg.report(ctx, r) == nil
}

// report hands r to the reporter, with the content if it can be read.
func (msg *message) report(ctx context.Context, r agent.Report) error {
	m := msg.manager
	r.Envelope = msg.item.Envelope
	if !r.Envelope.Sender.IsNull() {
		content, err := msg.item.Content()
		if err != nil {
			m.o.Log.Error("report without the message: it cannot be read", "id", r.Envelope.ID, "cause", err)
		} else {
			defer content.Close()
			r.Content = content
		}
	}
	err := msg.fenced("bounce", func() error { return m.now.Load().reporter.Report(ctx, &r) })
	if err != nil {
		m.o.Log.Error("report not queued", "id", r.Envelope.ID, "kind", string(r.Kind), "cause", err)
	}
	return err
}
