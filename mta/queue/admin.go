package queue

import (
	"context"
	"errors"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// errBusy is the answer when another call, or the queue itself, is just looking for the message,
// removing it or setting it aside. The call waits for the end of that.
var errBusy = dsn.New(dsn.MailSystem, "The message is being moved, please try again")

// errLater is the answer of a call that was noted, and did not want to wait for the disk.
var errLater = dsn.New(dsn.MailSystem, "It is noted, and done when the message is free")

// call is an operator's call about a message: in memory, or in a file that is
// looked for.
func (q *Queue) call(ctx context.Context, id envelope.QueueID, e event) error {
	if !validID(id) {
		return ErrNoMessage
	}
	noted := false
	t, known := q.index.call(id, e)
	for t.busy != nil {
		noted = noted || errors.Is(t.answer, errLater)
		select {
		case <-t.busy:
		case <-ctx.Done():
			return t.answer
		}
		t, known = q.index.call(id, e)
	}
	if known {
		return unlessNoted(noted, q.run(ctx, t))
	}
	m := t.m
	place, next, err := q.disk.files.where(id)
	if err != nil || place == "" {
		q.index.event(m, evVanished)
		if err == nil {
			err = ErrNoMessage
		}
		return err
	}
	at := inHold
	if place == Deferred {
		at, next = inDeferred, q.believable(id, next)
	}
	m.mu.Lock()
	m.place = place
	m.mu.Unlock()
	return unlessNoted(noted, q.run(ctx, q.index.found(m, at, next, e)))
}

// unlessNoted is the answer of a call that may have been noted before: then it is not a mistake that there is
// nothing more to do.
func unlessNoted(noted bool, err error) error {
	if noted && errors.Is(err, ErrUnchanged) {
		return nil
	}
	return err
}

// Hold takes a message out of delivery until Release. An active one has the rest of its attempt, and
// its file lies in hold/ at once: when Hold returns nil no crash forgets it. ErrUnchanged when it is on hold.
// After an error of the disk one that is in memory is not delivered: it is tried
// again every queue.run_delay.
func (q *Queue) Hold(ctx context.Context, id envelope.QueueID) error {
	err := q.call(ctx, id, evHold)
	return diskError(err)
}

// Release ends a hold; the message is due at once, also when its destination
// was found dead (Item.Flushed). ErrUnchanged when it is not on hold. When Release returns nil no crash
// forgets it.
func (q *Queue) Release(ctx context.Context, id envelope.QueueID) error {
	return diskError(q.call(ctx, id, evRelease))
}

// Requeue makes a message due at once, also when its destination was found
// dead (Item.Flushed), and forgets what was resolved: attempts and reasons. A
// held one is released.
func (q *Queue) Requeue(ctx context.Context, id envelope.QueueID) error {
	return diskError(q.call(ctx, id, evRequeue))
}

// Delete removes a message without a report. An active one is removed when its
// present attempt ends. After an error of the disk one that is in memory is
// not delivered: its removal is tried again every queue.run_delay.
func (q *Queue) Delete(ctx context.Context, id envelope.QueueID) error {
	err := q.call(ctx, id, evDelete)
	if err == nil {
		err = q.askDelete(ctx, id)
	}
	if errors.Is(err, ErrNoMessage) {
		found, err := q.disk.corrupt.Delete(id)
		if err == nil && !found {
			return ErrNoMessage
		}
		return diskError(err)
	}
	return diskError(err)
}

// askDelete makes it durable that a message is to be deleted which somebody works on. What was delivered into the
// store is settled first, for at the next start nobody will deliver it again. It waits for nobody who works on the message.
func (q *Queue) askDelete(ctx context.Context, id envelope.QueueID) error {
	m, at, _ := q.index.look(id)
	if m == nil || at.want != wantDelete || at.stage == leaving {
		return nil
	}
	if q.disk.ledger.stored.Load() {
		if err := q.disk.ledger.j.Checkpoint(ctx); err != nil {
			return err
		}
	}
	return q.disk.ledger.askDelete(ctx, m)
}

// Expire makes a message expire: its next attempt returns it to its sender, or the present one when that does not deliver
// it. One on hold stays there until it is released. It cannot be taken back. When Expire returns nil a
// crash does not forget it. ErrUnchanged when it was made to already.
func (q *Queue) Expire(ctx context.Context, id envelope.QueueID) error {
	if err := q.call(ctx, id, evExpire); err != nil {
		return diskError(err)
	}
	if m, _, _ := q.index.look(id); m == nil {
		return nil // its file says so, or it has left
	}
	return diskError(q.disk.ledger.askExpire(ctx, id))
}
