package recovery

import (
	"context"
	"errors"
	"math/rand/v2"

	"toastmaster/internal/journal"
	"toastmaster/mailstore/volume"
)

// Operation is a COPY, MOVE, EXPUNGE, DELETE or RENAME under way. Its intention
// lies in the journal, synced, before the first file has changed; from then on
// no end of the process and no power cut leaves it half done, because the next
// start does it again. So it is also durable, and one sync of the
// journal, shared by all who wait, is all that it costs.
//
// Between Begin and End no mark in the journal says that its records are done,
// and no segment that has them is used again.
type Operation struct {
	acct *AccountJournal
	id   uint64
	pin  journal.Position
	// positions are records that do not use the journal's reserve.
	positions []journal.Position
	over      bool
}

// Reserve says whether records may use what the journal keeps for the time when
// the disk is full.
type Reserve uint8

const (
	// AnyRoom is for what gives space back, or takes none.
	AnyRoom Reserve = iota
	// FreeRoom is for what takes space: it is refused first.
	FreeRoom
)

// Begin makes the intention durable. From here to End the folders of the account
// stay where they are. With an error nothing is to be changed, and nothing will
// be at the next start: it is ErrNotFound when the account was removed.
func (a *AccountJournal) Begin(ctx context.Context, r *Record, room Reserve) (*Operation, error) {
	o := a.operation()
	r.Home, r.operation = a.home, o.id
	records := r.records()
	a.order.RLock()
	if a.Removed() {
		a.order.RUnlock()
		return nil, volume.ErrNotFound
	}
	a.j.marks.enter(o)
	o.pin = a.j.own.Pin()
	err := o.write(ctx, records, room)
	if volume.IsFull(err) && room == AnyRoom {
		err = errors.Join(o.makeRoom(ctx), o.write(ctx, records, room))
	}
	if err != nil {
		o.Undo()
		o.End()
		return nil, err
	}
	return o, nil
}

// operation only gives it a name.
func (a *AccountJournal) operation() *Operation { return &Operation{acct: a, id: rand.Uint64()} }

func (o *Operation) write(ctx context.Context, records [][]byte, room Reserve) error {
	j := o.acct.j.own
	for _, b := range records {
		if room == AnyRoom {
			if err := j.AppendLazy(b); err != nil {
				return err
			}
			continue
		}
		pos, err := j.Append(ctx, b)
		if err != nil {
			return err
		}
		o.positions = append(o.positions, pos)
	}
	if room == AnyRoom {
		return j.Flush(ctx)
	}
	return nil
}

// makeRoom has the journal use a segment again that nobody needs any more: after
// a start on a full disk all it has may be full of what is done.
func (o *Operation) makeRoom(ctx context.Context) error {
	j := o.acct.j.own
	j.Unpin(o.pin) // it would keep the last one
	err := j.Checkpoint(ctx)
	o.pin = j.Pin()
	return err
}

// Undo notes that the operation was taken back: it is not done again, and
// what a power cut keeps of it is removed. The note may lag behind, but not
// behind a later operation.
func (o *Operation) Undo() {
	j := o.acct.j
	if err := j.own.AppendLazy(appendUndone(o.id)); err != nil && !errors.Is(err, journal.ErrClosed) {
		j.vol.Log.Warn("an operation that failed may be done at the next start", "path", o.acct.home, "cause", err)
	}
}

// End is called, once it was begun, when all files are as they are to be.
func (o *Operation) End() {
	if o.over {
		return
	}
	o.over = true
	j := o.acct.j
	j.vol.Points.Changed()
	j.marks.leave(o)
	for _, pos := range append(o.positions, o.pin) {
		j.own.Unpin(pos)
	}
	o.acct.order.RUnlock()
}

// Renaming notes that a folder and those below it are going to get other names.
// Until Settled no mark in the journal says that this is done: a checkpoint, of
// which a rename makes one for each folder, is not the end of it.
func (a *AccountJournal) Renaming(ctx context.Context, from, to string) (*Renaming, error) {
	// The order of the account is not held, as by Begin: each folder takes it alone
	// when it leaves.
	r := &Renaming{a.operation()}
	a.j.marks.enter(r.o)
	r.o.pin = a.j.own.Pin()
	err := a.j.own.AppendLazy(appendRenamed(Folder{a.home, from}, r.o.id, to))
	if err == nil {
		err = a.j.own.Flush(ctx)
	}
	if err != nil {
		r.Settled() // what a flush that failed has written is not to be done
		return nil, err
	}
	return r, nil
}

// Renaming is a RENAME under way.
type Renaming struct{ o *Operation }

// Settled is called when all folders have their new names, or their old ones
// again.
func (r *Renaming) Settled() {
	r.o.Undo()
	r.o.acct.j.marks.leave(r.o)
	r.o.acct.j.own.Unpin(r.o.pin)
}
