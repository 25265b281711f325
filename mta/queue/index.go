package queue

import (
	"errors"
	"slices"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/lockorder"
)

// index knows the messages that are in memory, and the order in which they come
// up. It is where transitions happen: one at a time, under its lock, under which
// nobody waits for anything.
type index struct {
	clock clock.Clock
	retry time.Duration // queue.run_delay

	wake   chan struct{} // to Next
	rescan chan struct{} // to Run: the list of due messages is incomplete

	mu      lockorder.Mutex[indexLock]
	closed  bool
	known   map[envelope.QueueID]*message
	window  Window
	new     *turns // new ones; see popNew
	due     dueList
	dueTurn bool      // the next message is a deferred one if any is due
	flushed time.Time // the last Flush of everything
}

func newIndex(o Options) *index {
	c, retry, limit := o.Clock, o.Config.RunDelay, o.Config.DueLimit
	x := &index{
		clock: c, retry: retry, window: o.Window,
		wake: make(chan struct{}, 1), rescan: make(chan struct{}, 1),
		known: map[envelope.QueueID]*message{},
		due:   dueList{limit: limit, at: map[envelope.QueueID]*dueEntry{}},
	}
	x.due.horizon = c.Now().Add(retry + scanMargin)
	x.new = turnsOf[*message](x.window)
	return x
}

// task is what a transition leaves to be done: work, or an answer.
type task struct {
	m      *message
	work   effect
	answer error
	// at is the state it is done in, next when the message is due.
	at   state
	next time.Time
	// busy is closed when a call whose answer is errBusy may be tried again.
	busy <-chan struct{}
}

// step takes m through the table. mu is held.
func (x *index) step(m *message, e event) task {
	at, do := next(m.at, e)
	began := at.moving && !m.at.moving
	if m.at.moving && !at.moving {
		close(m.moved)
	}
	if m.at = at; began {
		m.moved = make(chan struct{})
	}
	if m.stepped != nil && !slices.Contains(do, sayBusy) && !slices.Contains(do, sayLater) { // else two calls would wake each other
		close(m.stepped)
		m.stepped = nil
	}
	if m.waits != nil && at.stage != queued {
		m.waits.Withdraw(m)
		m.waits = nil
	}
	if m.out && !at.inWindow() {
		m.out = false
		m.lane.Done(m.weight)
		wakeUp(x.wake)
	}
	t := task{m: m, at: at}
	for _, one := range do {
		if one.work() {
			t.work = one
		} else if err := x.do(m, one); err != nil {
			t.answer = err
		}
	}
	t.next = m.next
	return t
}

// do is an effect that is done in memory; mu is held.
func (x *index) do(m *message, e effect) error {
	switch e {
	case listNew:
		x.pushNew(m)
		wakeUp(x.wake)
	case listDue:
		x.due.add(m.id, m.next, true)
		wakeUp(x.wake)
	case dueNow:
		m.next = x.clock.Now()
	case dueRetry:
		m.next = x.clock.Now().Add(x.retry)
	case noteFlush:
		m.flushed = x.clock.Now()
		m.next = m.flushed
	case noteExpire:
		if m.expire.Swap(true) {
			return ErrUnchanged
		}
	case rest:
		delete(x.known, m.id)
		x.listResting(m)
	case forget:
		delete(x.known, m.id)
		x.due.drop(m.id)
	case sayLater:
		return errLater
	case sayUnchanged:
		return ErrUnchanged
	case sayBusy:
		return errBusy
	case sayNone:
		return ErrNoMessage
	}
	return nil
}

// listResting lists a message that is forgotten now, if it is due soon.
func (x *index) listResting(m *message) {
	if m.at.where != inDeferred {
		x.due.drop(m.id)
		return
	}
	if m.full {
		x.due.putOff(m, x.clock.Now().Add(roomDelay))
	} else {
		x.due.add(m.id, m.next, false)
	}
	x.due.flush(m.id, m.flushed)
	wakeUp(x.wake)
}

// add takes a message in that was not known.
func (x *index) add(m *message, of whose) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.known[m.id] = m
	m.whose = of
	x.pushNew(m)
	wakeUp(x.wake)
}

// event takes m through the table, if it is known still.
func (x *index) event(m *message, e event) task {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known[m.id] != m {
		return task{m: m}
	}
	return x.step(m, e)
}

// end is event for the end of an attempt, whose message is due at next. It waits
// while the message is copied out of the journal.
func (x *index) end(m *message, e event, next time.Time) task {
	x.mu.Lock()
	defer x.mu.Unlock()
	for m.at.moving {
		moved := m.moved
		x.mu.Unlock()
		<-moved
		x.mu.Lock()
	}
	m.next = next
	return x.step(m, e)
}

// call is event for an operator's call. It returns false, and knows the message as
// one whose file is looked for, when it is not in memory.
func (x *index) call(id envelope.QueueID, e event) (task, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if m := x.known[id]; m != nil {
		t := x.step(m, e)
		if errors.Is(t.answer, errBusy) || errors.Is(t.answer, errLater) {
			if m.stepped == nil {
				m.stepped = make(chan struct{})
			}
			t.busy = m.stepped
		}
		return t, true
	}
	m := newMessage(id, state{stage: looking})
	x.known[id] = m
	return task{m: m}, false
}

// found is call for a message whose file was found, due at next.
func (x *index) found(m *message, at where, next time.Time, e event) task {
	x.mu.Lock()
	defer x.mu.Unlock()
	m.at, m.next = state{stage: resting, where: at}, next
	return x.step(m, e)
}

// take takes the next message through the table: new ones and due deferred ones
// in turn, so that a backlog does not starve new mail (Postfix qmgr). Without one
// it says until when nothing is due (zero: until a scan tells, or something leaves the
// window).
func (x *index) take() (t task, until time.Time, err error) {
	now := x.clock.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return task{}, time.Time{}, ErrClosed
	}
	if x.window.full(x.new.Out()) {
		return task{}, time.Time{}, nil
	}
	var m *message
	if x.dueTurn {
		m = x.popDue(now)
	}
	if m == nil {
		m = x.popNew()
		if m != nil {
			x.dueTurn = true
		}
	} else {
		x.dueTurn = false
	}
	if m == nil {
		m = x.popDue(now)
	}
	if m != nil {
		// Another Next may wait for what is left.
		wakeUp(x.wake)
		return x.step(m, evTake), time.Time{}, nil
	}
	if at, ok := x.due.top(); ok {
		return task{}, at, nil
	}
	if x.due.horizon.After(now) {
		return task{}, x.due.horizon, nil
	}
	// The next scan is late: it took longer than it may, or the clock was set.
	wakeUp(x.rescan)
	return task{}, time.Time{}, nil
}

// pushNew puts m at the end of the new ones of its lane, unless it has an entry there still.
func (x *index) pushNew(m *message) {
	if m.waits == nil {
		m.waits = x.new.Push(m.whose.tenant, m.whose.site, m)
		// One copy of the names for all of them.
		m.whose.tenant, m.whose.site = m.waits.Tenant.Key, m.waits.Site.Key
	}
}

// popNew takes the new message whose turn it is. An entry whose message is not queued any
// more, or is moving, is skipped.
func (x *index) popNew() *message {
	for {
		m, lane := x.new.Next()
		if lane == nil {
			return nil
		}
		m.waits = nil
		if m.at.stage == queued && !m.at.moving {
			x.enterLane(m, lane)
			return m
		}
		lane.Drop()
	}
}

// popDue takes the first message that is due at now; mu is held.
func (x *index) popDue(now time.Time) *message {
	for {
		at, ok := x.due.top()
		if !ok || at.After(now) {
			return nil
		}
		e := x.due.pop()
		id, flushed := e.id, e.flushed
		if len(x.due.heap) == 0 && !x.due.horizon.After(now) {
			wakeUp(x.rescan)
		}
		m := x.known[id]
		if m == nil {
			var lane *lane
			if e.whose.weight > 0 {
				// It was read before, and there was no room for it.
				if lane = x.new.Enter(e.whose.tenant, e.whose.site); lane == nil {
					e.at = now.Add(roomDelay)
					x.due.push(e)
					continue
				}
			}
			m = newMessage(id, state{stage: resting, where: inDeferred})
			m.place, m.next, m.flushed = Deferred, at, flushed
			m.whose = e.whose
			x.known[id] = m
			if lane != nil {
				x.enterLane(m, lane)
			}
			return m
		}
		if m.at.stage == waiting && !m.at.moving {
			return m
		}
	}
}

// stateOf is where m is in the table.
func (x *index) stateOf(m *message) state {
	x.mu.Lock()
	defer x.mu.Unlock()
	return m.at
}

// takeFlushed is when a try of m was last asked for, which counts once, and when it was due.
func (x *index) takeFlushed(m *message) (flushed, due time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	flushed = later(m.flushed, x.flushed)
	m.flushed = time.Time{}
	return flushed, m.next
}

// all lists the messages in memory that f wants.
func (x *index) all(f func(m *message) bool) []*message {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := make([]*message, 0, len(x.known))
	for _, m := range x.known {
		if f(m) {
			out = append(out, m)
		}
	}
	return out
}

// look is a message in memory, its state, and when it is due; nil: it is not there.
func (x *index) look(id envelope.QueueID) (m *message, at state, next time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if m = x.known[id]; m != nil {
		at, next = m.at, m.next
	}
	return m, at, next
}

// counts are the messages that are in memory, less the files of theirs.
func (x *index) counts() map[Place]int64 {
	n := map[Place]int64{Incoming: 0, Active: 0, Deferred: 0, Hold: 0}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, m := range x.known {
		at := m.at
		if !at.inMemory() && at.stage != reading {
			continue // its file counts, if it has one
		}
		if at.stage != leaving {
			n[at.place()]++
		}
		if at.where != inJournal {
			n[at.where.place()]--
		}
	}
	return n
}

// has says that a message is in memory.
func (x *index) has(id envelope.QueueID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.known[id] != nil
}

// inJournal says that the journal has a message.
func (x *index) inJournal(id envelope.QueueID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	m := x.known[id]
	return m != nil && m.at.where == inJournal
}

// close ends Next; false: that was done before.
func (x *index) close() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	was := x.closed
	x.closed = true
	return !was
}

// flushWaiting makes a message that waits in memory due now.
func (x *index) flushWaiting(m *message, now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known[m.id] != m || m.at.stage != waiting {
		return false
	}
	m.next, m.flushed = now, now
	x.due.add(m.id, now, true)
	return true
}

// flushResting notes that a file in deferred/ is due now.
func (x *index) flushResting(id envelope.QueueID, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known[id] == nil {
		x.due.add(id, now, false)
		x.due.flush(id, now)
	}
}

// flushAll notes that a try of everything was asked for.
func (x *index) flushAll(now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.flushed = now
}

// beginScan says until when the list of due messages is complete at the end of a
// scan that begins now: from now on whoever defers a message adds it itself, should
// its directory have been read already. What is known is brought within the time
// that a message waits at most, 0 for any.
func (x *index) beginScan(horizon time.Time, most time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.due.horizon = horizon
	if most == 0 {
		return
	}
	latest := x.clock.Now().Add(most)
	for _, e := range slices.Clone(x.due.heap) {
		if e.at.After(latest) {
			x.due.add(e.id, latest, true)
		}
	}
}

// endScan adds what a scan found.
func (x *index) endScan(first dueFirst) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range first.heap {
		if x.known[e.id] == nil {
			x.due.add(e.id, e.at, false)
		}
	}
	if first.overflow && first.heap[0].at.Before(x.due.horizon) {
		x.due.horizon = first.heap[0].at
	}
	wakeUp(x.wake)
}
