package recovery

import (
	"context"
	"errors"
	"strings"

	"toastmaster/internal/journal"
)

// finisher finishes the records of a journal that no mark says are done, oldest
// first. One that cannot be finished stays in its journal for the next start
// (unfinished.go), and so do those after it in the same folders.
//
// Not those of a folder that has left. In one journal the order says which
// they are. Between journals there is none, but a UIDVALIDITY is given once in
// an account: what was put into a folder that some journal says has left is
// finished only if that same folder is in its place, as after a rename that
// never reached the disk, or one back. What a process that still runs has
// written into its journal, or has recycled, is not known here.
type finisher struct {
	j     *Journal
	hands Hands
	told
	// left are the folders that some journal says have left.
	left map[incarnation]bool

	finished int
	done     []journal.Position
	waiting  []*Record
	broken   map[Folder]bool
}

// run does what is not done yet, and says how much that was. A rename comes
// last: what its journal has behind it came while it was under way, to folders
// that still had their old names, and goes along.
func (f *finisher) run(ctx context.Context) (did int, err error) {
	f.done, f.waiting, f.broken = nil, nil, map[Folder]bool{}
	var renames []int
	for i := range f.records {
		switch r := &f.records[i]; {
		case r.Kind == Renamed && !f.undone[r.operation]:
			renames = append(renames, i)
		case r.acts():
			n, err := f.turn(ctx, i)
			if err != nil {
				return did, err
			}
			did += n
		}
	}
	for _, i := range renames {
		n, err := f.turn(ctx, i)
		if err != nil {
			return did, err
		}
		did += n
	}
	f.finished += did
	return did, nil
}

// turn has record i done unless it has to wait. The error is that of ctx.
func (f *finisher) turn(ctx context.Context, i int) (did int, err error) {
	r := &f.records[i]
	if f.mustWait(r) {
		f.broken[Folder{r.Home, r.Dir}] = true
		f.waiting = append(f.waiting, r)
		return 0, nil
	}
	if !below(r.pos, f.mark) {
		did, err = f.act(ctx, i)
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case err != nil:
			// One mailbox must not keep the others from their mail, nor
			// each of its messages the start for a while.
			f.j.vol.Log.Error("changes of before the crash not finished, the next start tries again", "home", r.Home, "folder", r.Dir, "cause", err)
			f.broken[Folder{r.Home, r.Dir}] = true
			if to := (Folder{r.Home, r.To}); r.touches(to) {
				f.broken[to] = true
			}
			f.waiting = append(f.waiting, r)
			return 0, nil
		}
	}
	f.done = append(f.done, r.pos)
	return did, nil
}

// mustWait says that something waits for a folder of the record. Of a rename those
// below are meant, too: what waits for one of them would not go along.
func (f *finisher) mustWait(r *Record) bool {
	if f.broken[Folder{r.Home, r.Dir}] || r.touches(Folder{r.Home, r.To}) && f.broken[Folder{r.Home, r.To}] {
		return true
	}
	for b := range f.broken {
		if r.Kind == Renamed && b.Home == r.Home && strings.HasPrefix(b.Dir, r.Dir+".") {
			return true
		}
	}
	return false
}

// hasLeft says that a folder of another UIDVALIDITY in this place is another one: some
// journal says that this one has left, or nothing was lost since, so that who took it away
// is another process, which still runs or has recycled what it wrote of that.
func (f *finisher) hasLeft(folder Folder, validity uint32) bool {
	return f.left[incarnation{folder, validity}] || f.seen && validity != 0
}

// renamedBefore says that a rename that is record i had taken the folder of the departure
// away, and that another one has its place.
func (f *finisher) renamedBefore(i int, d Departure) bool {
	for k := len(f.records) - 1; k > i; k-- {
		r := &f.records[k]
		if r.Kind == Left && (Folder{r.Home, r.Dir}) == d.Folder && !f.undone[r.operation] {
			return r.Validity != 0 && r.Validity != d.Validity
		}
	}
	return false
}

// act has record i done.
func (f *finisher) act(ctx context.Context, i int) (did int, err error) {
	r := &f.records[i]
	left := f.hasLeft(Folder{r.Home, r.Dir}, r.Validity)
	switch r.Kind {
	case Stored:
		if f.leaves(i, r.Dir) {
			return 0, nil
		}
		return f.hands.Restore(ctx, r, left, func() ([]byte, error) { return f.content(r) })
	case Renamed:
		if f.undone[r.operation] { // it was done
			return 0, nil
		}
		return f.rename(ctx, i)
	case Left:
		if f.undone[r.operation] {
			return 0, nil
		}
		return f.hands.Delete(ctx, r)
	}
	if f.leaves(i, r.Dir) || !f.whole[r.operation] {
		return 0, nil
	}
	x := Repetition{Undo: f.undone[r.operation], Left: left, Seen: f.seen}
	if r.Kind != Expunged {
		x.ToLeft = f.hasLeft(Folder{r.Home, r.To}, r.ToValidity)
		x.ToLeaves = f.leaves(i, r.To)
	}
	return f.hands.Repeat(ctx, r, x)
}

// rename has a rename done, and notes that in the journal: the next start must not
// look for what came before under the old names, nor rename what has got one of
// them since.
func (f *finisher) rename(ctx context.Context, i int) (did int, err error) {
	r, j := &f.records[i], f.journal
	note := func(record []byte) error {
		if err := j.AppendLazy(record); err != nil {
			return err
		}
		return j.Flush(ctx)
	}
	moved, over, err := f.hands.Rename(ctx, r, func(d Departure) error {
		if f.renamedBefore(i, d) {
			return ErrAnother
		}
		// What was put there a moment ago is not put there again once this says
		// that the folder has left.
		if err := f.j.vol.Checkpoint(ctx); err != nil {
			return err
		}
		if d.Validity != 0 { // the other journals have not seen it
			f.left[incarnation{d.Folder, d.Validity}] = true
		}
		return note(d.record())
	})
	if over {
		err = errors.Join(err, note(appendUndone(r.operation)))
	}
	for _, dir := range moved { // for the next run
		f.last[Folder{r.Home, dir}] = len(f.records)
	}
	f.undone[r.operation] = err == nil
	return len(moved), err
}

// content is that of a message.
func (f *finisher) content(r *Record) ([]byte, error) {
	payload, err := f.journal.Load(r.pos)
	if err != nil {
		return nil, err
	}
	whole, err := decodeRecord(payload)
	if err != nil {
		return nil, err
	}
	return whole.content, nil
}

// end lets go of what is done, after a checkpoint.
func (f *finisher) end() {
	j := f.journal
	for _, pos := range f.done {
		j.Unpin(pos)
	}
	f.j.unfinished.keep(f.orphan, f.waiting)
	if len(f.waiting) == 0 {
		f.marks.begin(j)
	}
	if f.finished > 0 {
		f.j.vol.Log.Info("changes of before the crash were finished", "messages", f.finished)
	}
	j.Recovered()
}
