package mailstore

import (
	"context"
	"errors"
	"sync"

	"toastmaster/mailstore/index"
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
// need more get ErrGone: their sessions end with BYE and connect anew. It is no
// parameter: it is for mailboxes that were open in a session when they were renamed,
// and nobody has a thousand of those in one account.
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
	// Nothing changes there any more.
	validity, msgs := old.st.UIDValidity, make([]*index.Message, len(v.uids))
	for i, m := range v.messages(len(v.uids)) {
		msgs[i] = m
	}
	old.mu.Unlock()
	dir, ok := old.acct.trail.end(address{old.dir, validity})
	if !ok {
		return ErrGone
	}
	mb, err := old.acct.openDir(ctx, dir)
	if err != nil {
		return err
	}
	moved, err := v.settle(mb, validity, msgs)
	if !moved {
		old.store().release(mb)
		return err
	}
	old.mu.Lock()
	delete(old.views, v)
	old.mu.Unlock()
	old.store().release(old)
	return nil
}

// settle makes v a view of mb, which is where its mailbox went; msgs are those of
// the view. It does nothing when mb has gone on, or is another mailbox, which is
// ErrGone.
func (v *View) settle(mb *mailbox, validity uint32, msgs []*index.Message) (moved bool, err error) {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	switch {
	case mb.dead:
		return false, nil // once more
	case mb.st.UIDValidity != validity:
		return false, ErrGone
	}
	departed := map[uint32]*index.Message{}
	for i, uid := range v.uids {
		if m := mb.st.Get(uid); m == nil || m.Name != msgs[i].Name {
			departed[uid] = msgs[i]
		}
	}
	v.mb, v.left, v.departed = mb, mb.st.Left(), departed
	mb.views[v] = struct{}{}
	// No number of this mailbox is one of the old one.
	v.version, v.goneGen, v.flagsGen = ^uint64(0), ^uint64(0), ^uint64(0)
	if name, ok := maildir.FolderName(mb.dir, mb.store().sep); ok {
		v.name = name
	}
	return true, nil
}
