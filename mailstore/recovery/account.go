package recovery

import (
	"context"
	"sync/atomic"

	"toastmaster/internal/journal"
	"toastmaster/internal/lockorder"
	"toastmaster/mailstore/volume"
)

// AccountJournal is the journal for one account: it keeps the order of its records. Who
// journals a message holds it shared, and so does an [Operation]; who takes a folder away holds it
// alone, from the record to the end. It is taken under the lock of a mailbox.
type AccountJournal struct {
	j    *Journal
	home string // below the root

	order lockorder.RWMutex[volume.OrderLock]
	// removed: all mail was. Whoever holds the account finds nothing.
	removed atomic.Bool
}

// Account is the account in home, below the root.
func (j *Journal) Account(home string) *AccountJournal { return &AccountJournal{j: j, home: home} }

// Home is its folder below the root.
func (a *AccountJournal) Home() string { return a.home }

// Removed says that all mail was removed.
func (a *AccountJournal) Removed() bool { return a.removed.Load() }

// Remove says so from here on.
func (a *AccountJournal) Remove() { a.removed.Store(true) }

// NoteCopying remembers, for all processes, that a message is about to be copied or moved,
// or was just now.
func (a *AccountJournal) NoteCopying() { a.j.vol.NoteCopying(a.home) }

// CopiedLately says that a process may have copied or moved something that no
// checkpoint covers. Its name must be on disk before the original loses its own, or the
// folder that it was in is gone: from that the journal would make it again.
func (a *AccountJournal) CopiedLately() bool { return a.j.vol.CopiedLately(a.home) }

// Stored makes a message durable through the journal; without r.HasContent its file
// was synced. It was stored before without a sync; its file may be on disk or
// not. left says that its folder was deleted, which is ErrNotFound.
func (a *AccountJournal) Stored(ctx context.Context, r *Record, left func() bool, prefix, content []byte) error {
	r.Home = a.home
	head := r.stored(r.HasContent)
	a.order.RLock()
	defer a.order.RUnlock()
	if left() || a.Removed() {
		return volume.ErrNotFound
	}
	// If it was renamed the message went along, durable since the checkpoint
	// before, and no recovery follows the record.
	var pos journal.Position
	var err error
	if r.HasContent {
		pos, err = a.j.own.Append(ctx, head, prefix, content)
	} else {
		pos, err = a.j.own.Append(ctx, head)
	}
	if err != nil {
		return err
	}
	// The Maildir was written before this: the next checkpoint covers it.
	a.j.own.Unpin(pos)
	return nil
}

// Leave makes it durable that a folder leaves, and lets move do it: after every
// record of a message in it, and before whoever has put one there and not
// journaled it yet can do so.
func (a *AccountJournal) Leave(ctx context.Context, d Departure, move func() error) error {
	a.order.Lock()
	defer a.order.Unlock()
	o := a.operation()
	d.Home, d.operation = a.home, o.id
	if err := a.j.depart(ctx, d); err != nil {
		return err
	}
	if err := move(); err != nil {
		o.Undo()
		return err
	}
	return nil
}

// LeaveAll is Leave for all folders. The UIDVALIDITY of one that is not open is
// not known without a scan, so only the order in our own journal tells. dirs is
// asked with the order held.
func (a *AccountJournal) LeaveAll(ctx context.Context, dirs func() ([]string, error), move func() error) error {
	a.order.Lock()
	defer a.order.Unlock()
	all, err := dirs()
	if err != nil {
		return err
	}
	for _, dir := range all {
		if err := a.j.depart(ctx, Departure{Folder: Folder{a.home, dir}}); err != nil {
			return err
		}
	}
	return move()
}
