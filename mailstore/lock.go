package mailstore

import (
	"context"
	"errors"
)

// locked runs f with the mailbox locked here and against other processes, and
// caught up with what they did. ErrNotFound when its folder was deleted or
// renamed. Both locks are given back whatever f does: its panic, which the
// fence of the session or delivery makes an error, is not everybody's trouble.
// ErrBusy when another process keeps its lock for store.lock_timeout.
func (mb *mailbox) locked(ctx context.Context, f func() error) error {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	return storeError(mb.flocked(ctx, f))
}

// flocked is locked for who holds mb.mu.
func (mb *mailbox) flocked(ctx context.Context, f func() error) (err error) {
	if mb.dead {
		return ErrNotFound
	}
	mb.batch.Reset() // what an operation that failed left
	if err := mb.log.Lock(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mb.log.Unlock()) }()
	if err := mb.catchUp(ctx); err != nil {
		return err
	}
	return f()
}

// lockedBoth runs f with two mailboxes locked, in the order of their paths;
// everybody else locks one at a time.
func lockedBoth(ctx context.Context, a, b *mailbox, f func() error) error {
	if a == b {
		return a.locked(ctx, f)
	}
	if b.path < a.path {
		a, b = b, a
	}
	return a.locked(ctx, func() error { return b.locked(ctx, f) })
}

// catchUp reads what other processes wrote into the log.
func (mb *mailbox) catchUp(ctx context.Context) error {
	n, keys, next := len(mb.st.Messages), len(mb.st.Keywords), mb.st.UIDNext
	changed, reload, err := mb.log.CatchUp(ctx, mb.st)
	switch {
	case err != nil:
		return err
	case reload:
		return mb.load(ctx)
	}
	if changed {
		// Whatever it was: views compare in full.
		mb.goneGen++
		mb.flagsGen++
		mb.touched(nil)
		if mb.st.UIDNext > next {
			mb.noteAdded(next)
		}
		if len(mb.st.Keywords) != keys {
			clear(mb.flagSets)
		}
		mb.acct.usageUnknown(n != len(mb.st.Messages))
	}
	return nil
}
