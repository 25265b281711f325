package mailstore

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"toastmaster/mailstore/notify"
	"toastmaster/mailstore/volume"
)

// HasAccount says whether an account's folder is there.
func (s *Store) HasAccount(acc Account) (bool, error) {
	home, err := s.home(acc)
	if err != nil {
		return false, err
	}
	there, err := s.accountAt(home)
	return there, volume.Err(err)
}

// RemoveAccount deletes all mail of an account. Its views get ErrGone, and
// its users find no mailbox at all, even when the account is
// made anew. Where a symbolic link stands for its home nothing is removed.
func (s *Store) RemoveAccount(ctx context.Context, acc Account) error {
	home, err := s.home(acc)
	if err != nil {
		return err
	}
	if err := s.vol.RealHome(home); err != nil {
		return err
	}
	// From here on mail that was on its way makes nothing; what came before has
	// the account in use.
	s.mu.Lock()
	s.removed.note(home, s.vol.Clock.Now())
	used := s.accounts[home] != nil
	s.mu.Unlock()
	if err := s.journal.Abandon(ctx, filepath.Clean(acc.Home)); err != nil {
		return volume.Err(err)
	}
	there, err := s.accountAt(home)
	if err != nil {
		return volume.Err(err)
	}
	if !there && !used {
		return volume.Err(s.removeParents(home)) // a crash may have left them
	}
	acc.Asked = time.Time{}
	a, err := s.acquire(acc)
	if errors.Is(err, ErrNotFound) {
		return nil // somebody else removes it
	}
	if err != nil {
		return err
	}
	defer s.putAccount(a)
	switch err := a.Lock(); {
	case errors.Is(err, ErrNotFound):
		return nil // by somebody else, just now
	case err != nil:
		return volume.Err(err)
	}
	defer a.Unlock()
	if err := s.vol.WithReserve(a.NoteRemoved); err != nil {
		s.vol.Log.Warn("mail on its way in another process may make an account again that is removed", "path", home, "cause", err)
	}
	aside, boxes, err := a.leave(ctx)
	if err != nil {
		return volume.Err(err)
	}
	s.dismiss(a, boxes)
	s.pokes.Poke(notify.Change{Home: a.records.Home(), All: true})
	return volume.Err(cmp.Or(volume.RemoveAll(s.vol.FS, aside), s.removeParents(home)))
}

// dismiss buries the mailboxes of an account that is no more, and lets it be made anew.
func (s *Store) dismiss(a *heldAccount, boxes []*heldBox) {
	for _, mb := range boxes {
		mb.Leave()
		mb.Put()
	}
	s.mu.Lock()
	if s.accounts[a.home] == a {
		delete(s.accounts, a.home)
	}
	s.mu.Unlock()
}

// removedElsewhere dismisses an account that another process has removed. Its users find
// no mailbox at all from then on, as those of that process do.
func (s *Store) removedElsewhere(a *heldAccount) error {
	if !a.Ready() {
		return nil // it is about to be made
	}
	if there, err := s.accountAt(a.home); there || err != nil {
		return err
	}
	if a.records.Removed() {
		return nil // by us
	}
	s.dismiss(a, a.end())
	return nil
}

// leave takes an account away; a.mu is held. The mailboxes are those that are
// open, one more use of each.
func (a *heldAccount) leave(ctx context.Context) (aside string, boxes []*heldBox, err error) {
	err = a.records.LeaveAll(ctx, a.Dirs, func() (err error) {
		if aside, err = a.MoveAside(a.home); err != nil {
			return err
		}
		a.vol.Points.Changed()
		if err := a.vol.FS.SyncDir(filepath.Dir(a.home)); err != nil {
			a.vol.Log.Warn("an account that was removed may come back after a power cut", "path", a.home, "cause", err)
		}
		boxes = a.end()
		return nil
	})
	return aside, boxes, err
}

// end is the end of an account in memory.
func (a *heldAccount) end() (boxes []*heldBox) {
	s := a.store
	// From here on nobody opens a mailbox of a; those that are open are
	// buried, and only then may the account be made anew.
	s.mu.Lock()
	defer s.mu.Unlock()
	a.records.Remove()
	for _, mb := range s.boxes {
		if mb.acct == a {
			mb.refs++
			s.unidle(mb)
			boxes = append(boxes, mb)
		}
	}
	return boxes
}

// removeParents removes the folders between a home that is gone and the root
// that nothing is left in: those of the last account of a domain. Each is
// durably gone before the next.
func (s *Store) removeParents(home string) error {
	s.vol.Parents.Lock()
	defer s.vol.Parents.Unlock()
	root := filepath.Clean(s.vol.Root)
	for dir := filepath.Dir(home); dir != root; dir = filepath.Dir(dir) {
		err := s.vol.FS.Remove(dir)
		switch {
		case errors.Is(err, fs.ErrExist): // not empty
			return nil
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil:
			err = s.vol.FS.SyncDir(filepath.Dir(dir))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
