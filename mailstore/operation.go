package mailstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"

	"toastmaster/internal/journal"
)

// operation is a COPY, MOVE, EXPUNGE, DELETE or RENAME under way. Its intention
// lies in the journal, synced, before the first file has changed; from then on
// no end of the process and no power cut leaves it half done, because the next
// Open does it again (redo.go). So it is also durable, and one sync of the
// journal, shared by all who wait, is all that it costs.
//
// Between begin and end no mark in the journal says that its records are done,
// and no segment that has them is used again.
type operation struct {
	acct  *account
	id    uint64
	marks *doneMarks
	pin   journal.Position
	// positions are records that do not use the journal's reserve.
	positions []journal.Position
	over      bool
}

// room says whether records may use what the journal keeps for the time when
// the disk is full.
type room uint8

const (
	// anyRoom is for what gives space back, or takes none.
	anyRoom room = iota
	// freeRoom is for what takes space: it is refused first.
	freeRoom
)

// newOperation only gives it a name.
func (a *account) newOperation() *operation {
	return &operation{acct: a, id: rand.Uint64(), marks: a.store.marks}
}

// begin makes the records of the intention durable. From here to end the
// folders of the account stay where they are. With an error nothing is to be
// changed, and nothing will be at the next Open.
func (o *operation) begin(ctx context.Context, records [][]byte, r room) error {
	a := o.acct
	a.journaling.RLock()
	if a.gone.Load() {
		a.journaling.RUnlock()
		return ErrNotFound
	}
	o.marks.enter(o)
	o.pin = a.store.journal.Pin()
	err := o.write(ctx, records, r)
	if isFull(err) && r == anyRoom {
		err = errors.Join(o.makeRoom(ctx), o.write(ctx, records, r))
	}
	if err != nil {
		o.undone()
		o.end()
	}
	return err
}

func (o *operation) write(ctx context.Context, records [][]byte, r room) error {
	j := o.acct.store.journal
	for _, b := range records {
		if r == anyRoom {
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
	if r == anyRoom {
		return j.Flush(ctx)
	}
	return nil
}

// makeRoom has the journal use a segment again that nobody needs any more: after
// a start on a full disk all it has may be full of what is done.
func (o *operation) makeRoom(ctx context.Context) error {
	j := o.acct.store.journal
	j.Release(o.pin) // it would keep the last one
	err := j.Checkpoint(ctx)
	o.pin = j.Pin()
	return err
}

// undone notes that the operation was taken back: it is not done again, and
// what a power cut keeps of it is removed. The note may lag behind, but not
// behind a later operation.
func (o *operation) undone() {
	s := o.acct.store
	if err := s.journal.AppendLazy(appendUndone(o.id)); err != nil && !errors.Is(err, journal.ErrClosed) {
		s.log.Warn("an operation that failed may be done at the next start", "path", o.acct.home, "cause", err)
	}
}

// end is called, once it was begun, when all files are as they are to be.
func (o *operation) end() {
	if o.over {
		return
	}
	o.over = true
	s := o.acct.store
	s.points.note()
	o.marks.leave(o)
	for _, pos := range append(o.positions, o.pin) {
		s.journal.Release(pos)
	}
	o.acct.journaling.RUnlock()
}

// relHome is the home in records.
func (a *account) relHome() string {
	rel, err := filepath.Rel(a.store.root, a.home)
	if err != nil {
		return a.home // cannot be: home was joined to root
	}
	return rel
}
