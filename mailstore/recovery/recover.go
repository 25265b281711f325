package recovery

import (
	"context"
	"errors"

	"toastmaster/internal/journal"
	"toastmaster/mailstore/volume"
)

// Hands do again what a record asks for, as far as it is not done; package
// mailstore has them, and knows accounts and mailboxes. did counts the messages.
type Hands interface {
	// Restore puts a message where it belongs, unless it is there, or was there
	// and its owner removed it; or, with left set, unless the folder is another
	// one than that of the record's UIDVALIDITY. content is asked for when
	// r.HasContent.
	Restore(ctx context.Context, r *Record, left bool, content func() ([]byte, error)) (did int, err error)
	// Repeat does a COPY, MOVE or EXPUNGE.
	Repeat(ctx context.Context, r *Record, x Repetition) (did int, err error)
	// Delete removes a folder that was being deleted.
	Delete(ctx context.Context, r *Record) (did int, err error)
	// Rename gives the folders that still have their old names the new ones. leave
	// is called for each before it leaves, and may say that it is ErrAnother. over
	// says that nothing more is to be done.
	Rename(ctx context.Context, r *Record, leave func(Departure) error) (moved []string, over bool, err error)
}

// ErrAnother: the folder is not the one that was to be renamed.
var ErrAnother = errors.New("mailstore: another folder has this name by now")

// Repetition says how an operation of before a crash is done again.
type Repetition struct {
	// Undo: it was taken back; what the disk has of it is removed.
	Undo bool
	// ToLeaves: the other folder left afterwards, with what was put there.
	ToLeaves bool
	// Left and ToLeft: some other journal says that the folder has left. What
	// is there counts only if it is the same one.
	Left, ToLeft bool
	// Seen: the store was open all the time since. What is in place is what was done
	// until the process ended, and a folder of another UIDVALIDITY has left.
	Seen bool
}

// Promise is what clients were told of a message.
type Promise struct {
	UID  uint32
	Date int64
	Zone int16
}

// recoverAll finishes what is in journals.
func (j *Journal) recoverAll(ctx context.Context, all []orphan, hands Hands) error {
	// What is promised in them must not vanish with its name. This one may
	// fail for what the process before us could not write: all that is written
	// again now, and synced below.
	if err := j.vol.SyncAll(); err != nil {
		j.vol.Log.Warn("the mail store had unwritten data", "path", j.vol.Root, "cause", err)
	}
	left := departed(all)
	j.promised = promises(all)
	finishers := make([]*finisher, len(all))
	for i, l := range all {
		finishers[i] = &finisher{j: j, hands: hands, told: l.told(), left: left}
	}
	// Between journals there is no order: what one does may be what another
	// waited for.
	for again := true; again; {
		again = false
		for _, f := range finishers {
			did, err := f.run(ctx)
			if err != nil {
				return err
			}
			again = again || did > 0 && len(all) > 1
		}
	}
	j.promised = nil
	// Everything must be durable before the segments may go.
	if err := j.vol.Checkpoint(ctx); err != nil {
		return err
	}
	for _, f := range finishers {
		f.end()
	}
	return nil
}

// orphan is a journal that no process uses.
type orphan struct {
	journal *journal.Journal
	n       int
	dir     string
	records []Record
	marks   *doneMarks
	// seen: some process had the store open all the time since the first record that
	// is not done. Nothing was lost but what the process had not done yet.
	seen bool
}

// orphans opens the journals that no process uses, at least one, new if
// need be. With an error they are still the caller's to close.
func (j *Journal) orphans(ctx context.Context) (all []orphan, err error) {
	for n := range maxJournals {
		dir := j.dir(n)
		there, err := volume.Exists(j.vol.FS, dir)
		if err != nil || !there && len(all) > 0 {
			return all, err
		}
		l, err := j.openOrphan(ctx, n)
		if errors.Is(err, journal.ErrInUse) {
			continue
		}
		if l.journal != nil {
			all = append(all, l)
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// incarnation tells a folder from one that was made later in the same place.
type incarnation struct {
	Folder
	validity uint32
}

// departed lists the folders that any of the journals says have left.
func departed(all []orphan) map[incarnation]bool {
	left := map[incarnation]bool{}
	for _, l := range all {
		undone := l.undone()
		for _, r := range l.records {
			if r.Kind == Left && r.Validity != 0 && !undone[r.operation] {
				left[incarnation{Folder{r.Home, r.Dir}, r.Validity}] = true
			}
		}
	}
	return left
}

func (j *Journal) openOrphan(ctx context.Context, n int) (orphan, error) {
	dir := j.dir(n)
	l := orphan{n: n, dir: dir, marks: &doneMarks{vol: j.vol}}
	for _, d := range []string{dir, j.corrupt(dir)} {
		if err := j.vol.FS.MkdirAll(d, 0o700); err != nil {
			return l, err
		}
	}
	var err error
	l.journal, err = journal.Open(ctx, journal.Options{
		FS: j.vol.FS, Dir: dir, SegmentSize: j.vol.Config.JournalSegment, CheckpointInterval: j.vol.Config.CheckpointInterval,
		Corrupt: j.corrupt(dir), Checkpoint: l.marks.checkpoint, Clock: j.vol.Clock, Log: j.vol.Log,
		Replay: func(pos journal.Position, payload []byte) (bool, error) {
			r, err := decodeRecord(payload)
			if err != nil {
				j.saveRecord(dir, pos, payload, err)
				return false, nil
			}
			r.pos, r.content = pos, nil
			l.records = append(l.records, *r)
			return r.acts(), nil
		},
	})
	if err == nil {
		var era uint64
		era, err = j.vol.JournalEra(n)
		l.seen = era == j.vol.Era()
	}
	return l, err
}

// acts says that a record asks for something to be done.
func (r *Record) acts() bool {
	switch r.Kind {
	case Stored, Copied, Moved, Expunged, Renamed:
		return true
	case Left:
		return r.Deleted
	}
	return false
}

// touches says that what a record asks for is done in a folder.
func (r *Record) touches(f Folder) bool {
	switch r.Kind {
	case Copied, Moved, Renamed:
		if (Folder{r.Home, r.To}) == f {
			return true
		}
	}
	return Folder{r.Home, r.Dir} == f
}

// promises are for files that lost their index record: they get the UIDs and
// dates they had.
func promises(all []orphan) map[Folder]map[string]Promise {
	out := map[Folder]map[string]Promise{}
	add := func(home, dir, name string, p Promise) {
		f := Folder{home, dir}
		if out[f] == nil {
			out[f] = map[string]Promise{}
		}
		out[f][name] = p
	}
	for _, l := range all {
		t := l.told()
		for i := range l.records {
			rec := &l.records[i]
			switch {
			case rec.Kind == Stored && !t.leaves(i, rec.Dir):
				add(rec.Home, rec.Dir, rec.Name, Promise{rec.UID, rec.Date, rec.Zone})
			case (rec.Kind == Copied || rec.Kind == Moved) && !t.undone[rec.operation] && !t.leaves(i, rec.To):
				for _, it := range rec.Items {
					add(rec.Home, rec.To, it.NewName, Promise{it.NewUID, it.Date, it.Zone})
				}
			}
		}
	}
	return out
}
