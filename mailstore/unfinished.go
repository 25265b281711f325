package mailstore

import (
	"context"
	"path/filepath"
	"slices"
	"sync"

	"toastmaster/internal/journal"
)

// leftRecord is a message in a journal that could not be put into its Maildir:
// that is damaged, or the disk is full. moved is restore's left.
type leftRecord struct {
	*storedRecord
	moved bool
}

// unfinished are those in our own journal. They stay live there until a later
// try succeeds, or until their folder leaves.
type unfinished struct {
	mu      sync.Mutex
	journal *journal.Journal
	records []leftRecord
}

// keep takes what recovery could not finish. What is in a journal of another
// process is left to the next Open, which opens that one too.
func (u *unfinished) keep(j *journal.Journal, records []leftRecord) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.journal == nil {
		u.journal, u.records = j, records
	}
}

func (u *unfinished) list() []leftRecord {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.records)
}

func (u *unfinished) has(r leftRecord) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Contains(u.records, r)
}

// drop lets go of records.
func (u *unfinished) drop(gone func(leftRecord) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.records = slices.DeleteFunc(u.records, func(r leftRecord) bool {
		if gone(r) {
			u.journal.Release(r.pos)
			return true
		}
		return false
	})
}

// forget drops what a folder that leaves will never get.
func (u *unfinished) forget(f folder) {
	u.drop(func(r leftRecord) bool { return folder{r.home, r.dir} == f })
}

// abandon drops all of an account that is removed. Its folders may not exist,
// so nobody else would write that they left.
func (s *Store) abandon(ctx context.Context, home string) error {
	for _, r := range s.unfinished.list() {
		if filepath.Join(s.root, r.home) != home {
			continue
		}
		if err := s.appendGone(ctx, folder{r.home, r.dir}, 0); err != nil {
			return err
		}
	}
	return nil
}

// finish tries the unfinished ones again.
func (s *Store) finish(ctx context.Context) {
	done := map[leftRecord]bool{}
	for _, r := range s.unfinished.list() {
		did, err := s.finishOne(ctx, r)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil: // as recovery has said
		default:
			done[r] = true
			if did {
				s.log.Info("delivery of before the crash finished", "home", r.home, "folder", r.dir)
			}
		}
	}
	if len(done) > 0 && s.Checkpoint(ctx) == nil {
		s.unfinished.drop(func(r leftRecord) bool { return done[r] })
	}
}

// finishOne restores one message, unless its folder has left meanwhile; it
// cannot leave while this is done.
func (s *Store) finishOne(ctx context.Context, r leftRecord) (bool, error) {
	if !s.unfinished.has(r) {
		return false, nil // nor is its account made again
	}
	acct, err := s.acquire(Account{Home: r.home})
	if err != nil {
		return false, err
	}
	defer s.releaseAccount(acct)
	acct.journaling.RLock()
	defer acct.journaling.RUnlock()
	if !s.unfinished.has(r) {
		return false, nil
	}
	return s.restore(ctx, s.unfinished.journal, r.storedRecord, r.moved)
}
