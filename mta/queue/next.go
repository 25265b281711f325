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
<<<<<<< HEAD
		m, until, err := q.choose()
=======
		j, wait, err := q.index.take()
>>>>>>> de19462 (queue: what becomes of a message is one transition table)
		if err != nil {
			return nil, err
		}
		if j.m == nil {
			if err := q.waitForWork(ctx, wait); err != nil {
				return nil, err
			}
<<<<<<< HEAD
			continue
		}
		if err := q.waitForWork(ctx, until); err != nil {
			return nil, err
=======
		} else if it := q.handOut(ctx, j); it != nil {
			return it, nil
>>>>>>> de19462 (queue: what becomes of a message is one transition table)
		}
	}
}

// handOut makes the item of a message that was taken. nil: it cannot be read, or
// something else was wanted of it; then it has left, rests or waits.
func (q *Queue) handOut(ctx context.Context, j job) *Item {
	if err := q.run(ctx, j); err != nil && j.work == doRemove && ctx.Err() == nil {
		q.o.Log.Error("queue message not removed", "id", j.m.id, "cause", err.Error())
	}
	m := j.m
	if q.index.stateOf(m).stage != active {
		return nil
	}
	flushed := q.index.takeFlushed(m)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ensureProgress()
	it := &Item{
		Envelope: m.env, Replay: m.replay, Attempts: m.progress.attempts, Warned: m.progress.warned,
		Flushed: flushed, q: q, m: m,
	}
	m.progress.attempts++
	// An attempt that fails may have delivered before it failed.
	m.replay = true
	return it
}

<<<<<<< HEAD
// takeRemove says that a removal of m failed before and is to be tried again.
func (q *Queue) takeRemove(m *message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	remove := m.remove
	m.remove = false
	return remove
}

// waitForWork waits for a signal or, when until is not zero, until then.
func (q *Queue) waitForWork(ctx context.Context, until time.Time) error {
=======
// waitForWork waits for a signal or, when wait is not negative, as long.
func (q *Queue) waitForWork(ctx context.Context, wait time.Duration) error {
>>>>>>> de19462 (queue: what becomes of a message is one transition table)
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
<<<<<<< HEAD

// choose takes the next message, which becomes active; or says until when nothing
// is due (zero: until a scan tells).
func (q *Queue) choose() (m *message, until time.Time, err error) {
	now := q.o.Clock.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, time.Time{}, ErrClosed
	}
	if q.dueTurn {
		m = q.popDue(now)
	}
	if m == nil {
		m = q.incoming.pop()
		q.incoming.compact()
		if m != nil {
			q.dueTurn = true
		}
	} else {
		q.dueTurn = false
	}
	if m == nil {
		m = q.popDue(now)
	}
	if m != nil {
		m.stage = stageActive
		// Another Next may wait for what is left.
		signal(q.wake)
		return m, time.Time{}, nil
	}
	if at, ok := q.due.top(); ok {
		return nil, at, nil
	}
	if q.due.horizon.After(now) {
		return nil, q.due.horizon, nil
	}
	// The next scan is late: it took longer than it may, or the clock was set.
	signal(q.rescan)
	return nil, time.Time{}, nil
}

// popDue takes the first message that is due at now; q.mu is held.
func (q *Queue) popDue(now time.Time) *message {
	for {
		at, ok := q.due.top()
		if !ok || at.After(now) {
			return nil
		}
		id, flushed := q.due.pop()
		if len(q.due.heap) == 0 && !q.due.horizon.After(now) {
			signal(q.rescan)
		}
		m := q.known[id]
		if m == nil {
			m = &message{id: id, place: Deferred, flushed: flushed, filed: true}
			q.known[id] = m
			return m
		}
		if m.stage == stageWaiting {
			return m
		}
	}
}

// activate reads what is not in memory.
func (q *Queue) activate(m *message) (*Item, error) {
	flushed := q.takeFlushed(m)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.env == nil {
		if err := q.load(m); err != nil {
			return nil, err
		}
	}
	m.ensureState()
	it := &Item{
		Envelope: m.env, Replay: m.replay, Attempts: m.state.attempts, Warned: m.state.warned,
		Flushed: flushed, q: q, m: m,
	}
	m.state.attempts++
	// An attempt that fails may have delivered before it failed.
	m.replay = true
	return it, nil
}

// takeFlushed is when a try of m was last asked for; it counts once.
func (q *Queue) takeFlushed(m *message) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	flushed := m.flushed
	m.flushed = time.Time{}
	if flushed.Before(q.flushed) {
		return q.flushed
	}
	return flushed
}

// load reads a message from its file or its record; m.mu is held.
func (q *Queue) load(m *message) error {
	if m.place == Incoming {
		r, err := q.loadRecord(m)
		if err != nil {
			return err
		}
		m.env, m.text = r.env, r.text
		q.account(m)
		return nil
	}
	f, mf, err := q.places.read(m.place, m.id)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	m.env, m.state, m.size = mf.env, *mf.state, mf.contentSize
	m.replay = mf.state.boot != q.boot
	// Marks of this time in the active window must stay in the journal until
	// the file has the new state.
	m.pos = q.j.Pin()
	return nil
}

func (q *Queue) loadRecord(m *message) (*record, error) {
	payload, err := q.j.Load(m.pos)
	if err != nil {
		return nil, err
	}
	return decodeMessage(payload[1:])
}

// activationFailed deals with a message that cannot be read: a file that is
// gone was deleted, a damaged file or record is set aside; else it waits.
func (q *Queue) activationFailed(m *message, err error) {
	// relocate may be moving it.
	m.moving.Lock()
	defer m.moving.Unlock()
	m.mu.Lock()
	place, pos, loaded := m.place, m.pos, m.env != nil
	m.mu.Unlock()
	next := q.o.Clock.Now().Add(q.cfg.RunDelay)
	switch {
	case place == Incoming:
		if spoiled(err) && q.dropSpoiled(m, err) {
			return
		}
	case loaded: // it has a pin, and may know more than its file
	case errors.Is(err, errDamaged):
		q.setAside(place, m.id, err)
		fallthrough
	case errors.Is(err, fs.ErrNotExist):
		q.forget(m)
		q.j.Release(pos)
		return
	}
	q.o.Log.Error("queue message cannot be read", "id", m.id, "place", string(place), "cause", err.Error())
	if place == Incoming || loaded {
		q.wait(m, next)
		return
	}
	q.forget(m)
	q.j.Release(pos)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due.add(m.id, next, false)
}

// forget makes m a message that is known from its file only, if at all.
func (q *Queue) forget(m *message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.known, m.id)
}

// wait makes a message that was active, or claimed, one that is deferred in
// memory until next.
func (q *Queue) wait(m *message, next time.Time) {
	m.park()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.known[m.id] != m || m.stage == stageFinished {
		return
	}
	m.stage, m.next = stageWaiting, next
	q.due.add(m.id, next, true)
	signal(q.wake)
}
=======
>>>>>>> de19462 (queue: what becomes of a message is one transition table)
