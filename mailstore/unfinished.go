package mailstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"toastmaster/internal/journal"
)

// unfinished are the messages in our own journal that recovery could not put
// into their Maildir: that is damaged, or the disk is full. They stay live there
// for the next Open, until their folder leaves, or until the journal needs their
// room. Not taken: trying again while the store is open. The message would get
// its place among others that clients have numbered since.
type unfinished struct {
	mu      sync.Mutex
	journal *journal.Journal
	dir     string // the journal's
	records []*storedRecord
}

// keep takes what recovery could not finish. What is in a journal of another
// process is left to the next Open, which opens that one too.
func (u *unfinished) keep(l leftJournal, records []*storedRecord) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.journal == nil {
		u.journal, u.dir, u.records = l.journal, l.dir, records
	}
}

func (u *unfinished) list() []*storedRecord {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.records)
}

// waits says that there is something for a folder.
func (u *unfinished) waits(f folder) bool {
	return slices.ContainsFunc(u.list(), func(r *storedRecord) bool { return r.touches(f) })
}

// drop lets go of records.
func (u *unfinished) drop(gone func(*storedRecord) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.records = slices.DeleteFunc(u.records, func(r *storedRecord) bool {
		if gone(r) {
			u.journal.Release(r.pos)
			return true
		}
		return false
	})
}

// forget drops what a folder that was deleted will never get.
func (u *unfinished) forget(f folder) {
	u.drop(func(r *storedRecord) bool { return folder{r.home, r.dir} == f })
}

// abandon drops all of an account that is removed. Its folders may not exist,
// so nobody else would write that they left.
func (s *Store) abandon(ctx context.Context, home string) error {
	for _, r := range s.unfinished.list() {
		if filepath.Join(s.root, r.home) != home {
			continue
		}
		if err := s.appendGone(ctx, departure{folder: folder{r.home, r.dir}}); err != nil {
			return err
		}
	}
	return nil
}

// makeRoom moves the unfinished ones to corrupt/ when they keep half of the
// journal's segments from being used again: else all mail would be refused in
// the end.
func (s *Store) makeRoom() {
	list := s.unfinished.list()
	if len(list) == 0 {
		return
	}
	if u := s.unfinished.journal.Usage(); u.Segments <= u.Max/2 {
		return
	}
	saved := map[*storedRecord]bool{}
	for _, r := range list {
		payload, err := s.unfinished.journal.Load(r.pos)
		switch {
		case err == nil:
			err = fmt.Errorf("%s %s cannot take it, and the journal needs its room", r.home, r.dir)
		case errors.Is(err, journal.ErrDamaged):
			payload = make([]byte, r.pos.Length)
			if _, readErr := s.unfinished.journal.ReadAt(r.pos, payload, 0); readErr != nil {
				err = errors.Join(err, readErr)
			}
		default:
			continue // what the disk does not give back now it may later
		}
		saved[r] = s.saveRecord(s.unfinished.dir, r.pos, payload, err)
	}
	s.unfinished.drop(func(r *storedRecord) bool { return saved[r] })
}
