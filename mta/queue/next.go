package queue

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// Next waits for the next message that is due: new mail and due deferred mail
// in turn, so that a backlog does not starve new mail (Postfix qmgr). The
// caller owns the item until Close. ErrClosed after the queue was closed.
func (q *Queue) Next(ctx context.Context) (*Item, error) {
	for {
		m, wait, err := q.choose()
		if err != nil {
			return nil, err
		}
		if m != nil {
			var it *Item
			err := q.fenced(m.id, func() (err error) {
				it, err = q.activate(m)
				return err
			})
			if err == nil {
				return it, nil
			}
			q.activationFailed(m, err)
			continue
		}
		if err := q.waitForWork(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// waitForWork waits for a signal or, when wait is not negative, as long.
func (q *Queue) waitForWork(ctx context.Context, wait time.Duration) error {
	var timeout <-chan time.Time
	if wait >= 0 {
		timer := q.o.Clock.NewTimer(wait)
		defer timer.Stop()
		timeout = timer.C()
	}
	select {
	case <-q.wake:
	case <-timeout:
	case <-ctx.Done():
		return ctx.Err()
	case <-q.closing:
		return ErrClosed
	}
	return nil
}

// choose takes the next message, which becomes active; or says how long
// nothing is due (negative: nothing is known).
func (q *Queue) choose() (*message, time.Duration, error) {
	now := q.o.Clock.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, 0, ErrClosed
	}
	var m *message
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
		return m, 0, nil
	}
	if at, ok := q.due.top(); ok {
		return nil, max(at.Sub(now), 0), nil
	}
	return nil, -1, nil
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
		return nil
	}
	f, mf, err := q.places.read(m.place, m.id)
	if err != nil {
		return err
	}
	m.env, m.state, m.size = mf.env, *mf.state, mf.contentSize
	// Marks of this time in the active window must stay in the journal until
	// the file has the new state.
	m.pos = q.j.Pin()
	m.replay = mf.state.boot != q.boot
	return f.Close()
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
	if m.place != Incoming && errors.Is(err, fs.ErrNotExist) {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.known, m.id)
		return
	}
	if m.place != Incoming && errors.Is(err, errDamaged) {
		q.setAside(m.place, m.id, err)
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.known, m.id)
		return
	}
	if m.place == Incoming && spoiled(err) {
		m.moving.Lock()
		dropped := q.dropSpoiled(m, err)
		m.moving.Unlock()
		if dropped {
			return
		}
	}
	q.o.Log.Error("queue message cannot be read", "id", m.id, "place", string(m.place), "cause", err.Error())
	q.mu.Lock()
	defer q.mu.Unlock()
	next := q.o.Clock.Now().Add(q.cfg.RunDelay)
	if m.place != Incoming {
		delete(q.known, m.id)
		q.due.add(m.id, next, false)
		return
	}
	m.stage, m.next = stageWaiting, next
	q.due.add(m.id, next, true)
}
