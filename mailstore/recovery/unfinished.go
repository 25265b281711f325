package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"toastmaster/internal/journal"
	"toastmaster/internal/lockorder"
	"toastmaster/mailstore/volume"
)

// unfinished are the records in our own journal that recovery could not finish,
// because a Maildir is damaged or the disk is full. They stay live there
// for the next start, until their folder leaves, or until the journal needs their
// room. Not taken: trying again while the store is open. The message would get
// its place among others that clients have numbered since.
type unfinished struct {
	mu      lockorder.Mutex[volume.InnerLock]
	journal *journal.Journal
	dir     string // the journal's
	records []*Record
}

// keep takes what recovery could not finish. What is in a journal of another
// process is left to the next start, which opens that one too.
func (u *unfinished) keep(l orphan, records []*Record) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.journal == nil {
		u.journal, u.dir, u.records = l.journal, l.dir, records
	}
}

func (u *unfinished) list() []*Record {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.records)
}

// drop lets go of records.
func (u *unfinished) drop(which func(*Record) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.records = slices.DeleteFunc(u.records, func(r *Record) bool {
		if which(r) {
			u.journal.Unpin(r.pos)
			return true
		}
		return false
	})
}

// forget drops what a folder that was deleted will never get.
func (u *unfinished) forget(f Folder) {
	u.drop(func(r *Record) bool { return Folder{r.Home, r.Dir} == f })
}

// Unfinished is how many records of before the last start wait for the next one.
func (j *Journal) Unfinished() int { return len(j.unfinished.list()) }

// Waits says that there is something unfinished for a folder.
func (j *Journal) Waits(f Folder) bool {
	return slices.ContainsFunc(j.unfinished.list(), func(r *Record) bool { return r.touches(f) })
}

// Abandon drops all of an account that is removed. Its folders may not exist,
// so nobody else would write that they left.
func (j *Journal) Abandon(ctx context.Context, home string) error {
	for _, r := range j.unfinished.list() {
		if r.Home != home {
			continue
		}
		if err := j.depart(ctx, Departure{Folder: Folder{r.Home, r.Dir}}); err != nil {
			return err
		}
	}
	return nil
}

// MakeRoom moves the unfinished ones to corrupt/ when they keep half of the
// journal's segments from being used again: else all mail would be refused in
// the end.
func (j *Journal) MakeRoom() {
	u := &j.unfinished
	list := u.list()
	if len(list) == 0 {
		return
	}
	if use := u.journal.Usage(); use.Segments <= use.Max/2 {
		return
	}
	saved := map[*Record]bool{}
	for _, r := range list {
		payload, err := u.journal.Load(r.pos)
		switch {
		case err == nil:
			err = fmt.Errorf("%s %s cannot take it, and the journal needs its room", r.Home, r.Dir)
		case errors.Is(err, journal.ErrDamaged):
			payload = make([]byte, r.pos.Length)
			if _, readErr := u.journal.ReadAt(r.pos, payload, 0); readErr != nil {
				err = errors.Join(err, readErr)
			}
		default:
			continue // what the disk does not give back now it may later
		}
		saved[r] = j.saveRecord(u.dir, r.pos, payload, err)
	}
	u.drop(func(r *Record) bool { return saved[r] })
}
