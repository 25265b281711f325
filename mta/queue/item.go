package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// Item is one message in the active window. Its methods may be called by
// several goroutines at once.
type Item struct {
	Envelope *envelope.Envelope
	// Replay says that an earlier process, or an earlier attempt that failed,
	// may have delivered some of the pending recipients: local delivery must
	// look before it writes.
	Replay bool
	// Attempts is how often the message was active before.
	Attempts int
	// Warned says that the sender was already told about the delay.
	Warned bool
	// Flushed is when somebody last asked for a try now (Flush, Requeue,
	// Release), zero for never. What the caller has learnt about destinations
	// before then must not keep it from trying (Postfix qmgr, QMGR_REQ_FLUSH_DEAD).
	Flushed time.Time

	q *Queue
	m *message
	// whole says that the content was found to be as it was accepted; m.mu.
	whole bool
}

// Pending lists the indices of the recipients that are not done, ascending.
func (it *Item) Pending() []int {
	it.m.mu.Lock()
	defer it.m.mu.Unlock()
	var out []int
	for i, r := range it.m.state.rcpts {
		if !r.done {
			out = append(out, i)
		}
	}
	return out
}

// LastError is the last failure of recipient i, nil if it was never tried.
func (it *Item) LastError(i int) *dsn.Error {
	it.m.mu.Lock()
	defer it.m.mu.Unlock()
	return it.m.state.rcpts[i].last
}

// Content opens the message. The caller closes what it gets; it stays valid
// until then even when the item is closed. The first one of an item reads a
// content that lies in a file, and compares it with its checksum: of one that is
// damaged nobody gets anything, and Close sets it aside while somebody is pending.
func (it *Item) Content() (envelope.Content, error) {
	it.m.mu.Lock()
	defer it.m.mu.Unlock()
	if it.whole {
		c, err := it.q.content(it.m)
		return c, diskError(err)
	}
	c, err := it.q.wholeContent(it.m)
	it.whole = err == nil
	return c, diskError(err)
}

// Done crosses recipient i off. It does not wait for the disk.
func (it *Item) Done(i int, e Effect) error {
	q, m := it.q, it.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if i < 0 || i >= len(m.state.rcpts) {
		return fmt.Errorf("queue: %s has no recipient %d", m.id, i)
	}
	if m.state.rcpts[i].done {
		return nil
	}
	gen := q.gen.Load()
	m.state.rcpts[i] = rcpt{done: true}
	if e == EffectStore {
		m.state.rcpts[i].gen = gen
		q.noteStore()
	}
	// The mark is only for the next process; this one knows. Without it the
	// delivery may be repeated after a crash.
	if err := q.j.AppendLazy(mark{m.id, i, e, q.boot, gen}.encode()); err != nil {
		q.o.Log.Warn("queue mark not written", "id", m.id, "cause", err.Error())
	}
	return nil
}

// Failed notes that recipient i could not be delivered now and why.
func (it *Item) Failed(i int, why *dsn.Error) {
	it.m.mu.Lock()
	defer it.m.mu.Unlock()
	if i >= 0 && i < len(it.m.state.rcpts) && !it.m.state.rcpts[i].done {
		it.m.state.rcpts[i].last = lastError(why)
	}
}

// Close ends the item's time in the active window. With nobody pending the
// message leaves the queue; otherwise it becomes a deferred file that is due
// at next, durable before Close returns. One that is due at once and still in
// the journal stays there. One whose content, file or record is damaged goes to
// corrupt/ instead, which is no error. warned is kept for the next time. After
// an error, a panic on the way included, the message is as safe as before Close
// and comes back at next, or after queue.run_delay.
func (it *Item) Close(ctx context.Context, next time.Time, warned bool) error {
	q, m := it.q, it.m
	err := q.fenced(m.id, func() error { return it.leave(ctx, next, warned) })
	if err != nil {
		q.stayed(m, next)
	}
	return err
}

// stayed is for an item whose Close ended in a panic: its message waits until
// next, or as long as one that cannot be read.
func (q *Queue) stayed(m *message, next time.Time) {
	q.mu.Lock()
	active := m.stage == stageActive
	q.mu.Unlock()
	if !active {
		return
	}
	now := q.o.Clock.Now()
	if !next.After(now) {
		next = now.Add(q.cfg.RunDelay)
	}
	q.wait(m, next)
}

// leave is Close.
func (it *Item) leave(ctx context.Context, next time.Time, warned bool) error {
	q, m := it.q, it.m
	m.mu.Lock()
	m.state.warned = warned
	pending, stays := m.state.pending(), m.place == Incoming && m.damage == nil
	m.mu.Unlock()
	q.mu.Lock()
	hold, remove := m.hold, m.remove
	if m.requeue || next.IsZero() {
		next = q.o.Clock.Now()
	}
	m.hold, m.remove, m.requeue = false, false, false
	q.mu.Unlock()
	switch {
	case remove && pending:
		return q.removeActive(ctx, m)
	case !pending:
		q.finish(m)
		return nil
	case hold:
		return unlessGone(q.deferMessage(ctx, m, Hold, next))
	case stays && !next.After(q.o.Clock.Now()):
		q.again(m)
		return nil
	}
	return unlessGone(q.deferMessage(ctx, m, Deferred, next))
}

// unlessGone is for an attempt, which has no complaint when deferMessage has set
// the message aside.
func unlessGone(err error) error {
	if errors.Is(err, ErrNoMessage) {
		return nil
	}
	return err
}
