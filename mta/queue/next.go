package queue

import (
	"context"
	"time"
)

// Next waits for the next message that is due: new mail and due deferred mail
// in turn, so that a backlog does not starve new mail (Postfix qmgr). The
// caller owns the item until Close. ErrClosed after the queue was closed.
func (q *Queue) Next(ctx context.Context) (*Item, error) {
	for {
		t, until, err := q.index.take()
		if err != nil {
			return nil, err
		}
		if t.m == nil {
			if err := q.waitForWork(ctx, until); err != nil {
				return nil, err
			}
		} else if it := q.handOut(ctx, t); it != nil {
			return it, nil
		}
	}
}

// handOut makes the item of a message that was taken. nil: it cannot be read, or
// something else was wanted of it; then it has left, rests or waits.
func (q *Queue) handOut(ctx context.Context, t task) *Item {
	if err := q.run(ctx, t); err != nil && t.work == doRemove && ctx.Err() == nil {
		q.o.Log.Error("queue message not removed", "id", t.m.id, "cause", err.Error())
	}
	m := t.m
	if q.index.stateOf(m).stage != active {
		return nil
	}
	flushed, due := q.index.takeFlushed(m)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ensureProgress()
	it := &Item{
		Envelope: m.env, Replay: m.replay, Attempts: m.progress.attempts, Warned: m.progress.warned,
		Flushed: flushed, Asked: !flushed.IsZero() && !flushed.Before(later(due, m.env.Arrived)), q: q, m: m,
	}
	m.progress.attempts++
	// An attempt that fails may have delivered before it failed.
	m.replay = true
	return it
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// waitForWork waits for a signal or, when until is not zero, until then.
func (q *Queue) waitForWork(ctx context.Context, until time.Time) error {
	var timeout <-chan time.Time
	if !until.IsZero() {
		timer := q.o.Clock.NewTimer(max(until.Sub(q.o.Clock.Now()), 0))
		defer timer.Stop()
		// The clock may have been set before the timer was, which then comes late.
		if !q.o.Clock.Now().Before(until) {
			return nil
		}
		timeout = timer.C()
	}
	select {
	case <-q.index.wake:
	case <-timeout:
	case <-ctx.Done():
		return ctx.Err()
	case <-q.closing:
		return ErrClosed
	}
	return nil
}
