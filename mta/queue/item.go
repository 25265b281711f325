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
	// Asked says that this attempt is there because somebody asked for it.
	Asked bool

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
	for i, r := range it.m.progress.rcpts {
		if !r.done {
			out = append(out, i)
		}
	}
	return out
}

// Tenant is whose turn the message takes: the domain that sends, for a report the one that
// it is for.
func (it *Item) Tenant() string { return whoseIs(it.Envelope).tenant }

// Expired says that an operator made the message expire (Queue.Expire), perhaps while it is active.
func (it *Item) Expired() bool { return it.m.expire.Load() }

// LastError is the last failure of recipient i, nil if it was never tried.
func (it *Item) LastError(i int) *dsn.Error {
	it.m.mu.Lock()
	defer it.m.mu.Unlock()
	if i < 0 || i >= len(it.m.progress.rcpts) {
		return nil
	}
	return it.m.progress.rcpts[i].last
}

// Content opens the message. The caller closes what it gets; it stays valid
// until then even when the item is closed. The first one of an item reads a
// content that lies in a file, and compares it with its checksum: of one that is
// damaged nobody gets anything, and Close sets it aside while somebody is pending.
func (it *Item) Content() (envelope.Content, error) {
	it.m.mu.Lock()
	defer it.m.mu.Unlock()
	if it.whole {
		c, err := it.q.disk.content(it.m)
		return c, diskError(err)
	}
	c, err := it.q.disk.wholeContent(it.m)
	it.whole = err == nil
	return c, diskError(err)
}

// Done crosses recipient i off. It does not wait for the disk.
func (it *Item) Done(i int, e Effect) error {
	m := it.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if i < 0 || i >= len(m.progress.rcpts) {
		return fmt.Errorf("queue: %s has no recipient %d", m.id, i)
	}
	if m.progress.rcpts[i].done {
		return nil
	}
	m.progress.rcpts[i] = rcpt{done: true, gen: it.q.disk.ledger.done(m.id, i, e)}
	return nil
}

// Failed notes that recipient i could not be delivered now and why.
func (it *Item) Failed(i int, why *dsn.Error) {
	it.m.mu.Lock()
	defer it.m.mu.Unlock()
	if i >= 0 && i < len(it.m.progress.rcpts) && !it.m.progress.rcpts[i].done {
		it.m.progress.rcpts[i].last = lastError(why)
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
	now := q.o.Clock.Now()
	if next.IsZero() {
		next = now
	}
	err := q.run(ctx, q.index.end(m, m.ending(warned, !next.After(now)), next))
	if errors.Is(err, ErrNoMessage) {
		return nil // it was set aside, or deleted
	}
	return diskError(err)
}
