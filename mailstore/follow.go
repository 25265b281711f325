package mailstore

import (
	"context"
	"errors"
	"sync"

	"toastmaster/mailstore/maildir"
)

// A mailbox that was renamed leaves memory under its old name and is loaded
// under the new one; the views of it go along (follow). From one that was
// deleted, or made anew with other UIDs, they get ErrGone, and whoever holds
// them ends its session: its numbers mean nothing any more.

// address is the place of a mailbox in its account. Its UIDVALIDITY tells it from one that was
// made later under the same name.
type address struct {
	dir      string
	validity uint32
}

// maxTrail bounds what is remembered of an account's renames. Views that would
// need more get ErrGone.
const maxTrail = 1000

// trail is where the mailboxes went that sessions had open; as long as the
// account is in memory.
type trail struct {
	mu sync.Mutex
	to map[address]string
}

// note remembers that a mailbox was renamed. Its new place leads nowhere, even
// if it was there before.
func (t *trail) note(from address, to string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.to == nil || len(t.to) >= maxTrail {
		t.to = map[address]string{}
	}
	t.to[from] = to
	delete(t.to, address{to, from.validity})
}

// end is where the trail of a mailbox leads; false when there is none.
func (t *trail) end(a address) (dir string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		to, next := t.to[a]
		if !next {
			return a.dir, ok
		}
		a.dir, ok = to, true
	}
}

// went notes where the mailbox has gone, if its log tells. mb.mu is held, its
// folder is not there.
func (mb *mailbox) went(ctx context.Context) {
	if !mb.loaded || mb.log.Lock(ctx) != nil {
		return
	}
	_, reload, err := mb.log.CatchUp(ctx, mb.st)
	err = errors.Join(err, mb.log.Unlock())
	if to := mb.st.Went; err == nil && !reload && to != "" && to != mb.dir {
		mb.acct.trail.note(address{mb.dir, mb.st.UIDValidity}, to)
	}
}

// retry runs f, in the place where the mailbox is now, and once more if it left
// while f ran and nothing was done.
func (v *View) retry(ctx context.Context, f func() error) error {
	for again := false; ; again = true {
		if err := v.here(ctx); err != nil {
			return err
		}
		err := f()
		if err == nil || again || !v.mb.over.Load() {
			return err
		}
	}
}

// here makes v a view of the mailbox where it is now. ErrGone when it is
// nowhere.
func (v *View) here(ctx context.Context) error {
	for v.mb.over.Load() {
		if err := v.follow(ctx); err != nil {
			if errors.Is(err, ErrNotFound) {
				return ErrGone
			}
			return err
		}
	}
	return nil
}

// follow goes to where the mailbox was renamed to. The messages keep their
// numbers until the next Update.
func (v *View) follow(ctx context.Context) error {
	v.dropWindow()
	old := v.mb
	old.mu.Lock()
	validity := old.st.UIDValidity
	old.mu.Unlock()
	dir, ok := old.acct.trail.end(address{old.dir, validity})
	if !ok {
		return ErrGone
	}
	mb, err := old.acct.openDir(ctx, dir)
	if err != nil {
		return err
	}
	mb.mu.Lock()
	switch {
	case mb.dead:
		err = nil // once more
	case mb.st.UIDValidity != validity:
		err = ErrGone
	default:
		v.mb = mb
		mb.views[v] = struct{}{}
		// No number of this mailbox is one of the old one.
		v.version, v.goneGen, v.flagsGen = ^uint64(0), ^uint64(0), ^uint64(0)
		if name, ok := maildir.FolderName(dir, old.store().sep); ok {
			v.name = name
		}
	}
	mb.mu.Unlock()
	if v.mb == old {
		old.store().release(mb)
		return err
	}
	old.mu.Lock()
	delete(old.views, v)
	old.mu.Unlock()
	old.store().release(old)
	return nil
}
