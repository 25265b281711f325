package mailstore

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"toastmaster/internal/vfs"
)

// HasAccount says whether an account's folder is there.
func (s *Store) HasAccount(acc Account) (bool, error) {
	home, err := s.home(acc)
	if err != nil {
		return false, err
	}
	there, err := s.accountAt(home)
	return there, storeError(err)
}

// RemoveAccount deletes all mail of an account. Its views get ErrGone, and
// its users find no mailbox at all, even when the account is
// made anew. Where a symbolic link stands for its home nothing is removed.
func (s *Store) RemoveAccount(ctx context.Context, acc Account) error {
	home, err := s.home(acc)
	if err != nil {
		return err
	}
	if err := s.realHome(home); err != nil {
		return err
	}
	// From here on mail that was on its way makes nothing; what came before has
	// the account in use.
	s.mu.Lock()
	s.removed.note(home, s.clock.Now())
	used := s.accounts[home] != nil
	s.mu.Unlock()
	if err := s.abandon(ctx, home); err != nil {
		return storeError(err)
	}
	there, err := s.accountAt(home)
	if err != nil {
		return storeError(err)
	}
	if !there && !used {
		return storeError(s.removeParents(home)) // a crash may have left them
	}
	acc.Asked = time.Time{}
	a, err := s.acquire(acc)
	if errors.Is(err, ErrNotFound) {
		return nil // somebody else removes it
	}
	if err != nil {
		return err
	}
	defer s.releaseAccount(a)
	if err := a.lock(); err != nil {
		return nil // by somebody else, just now
	}
	defer a.mu.Unlock()
	aside, boxes, err := a.leave(ctx)
	if err != nil {
		return storeError(err)
	}
	for _, mb := range boxes {
		mb.leaves()
		s.release(mb)
	}
	s.mu.Lock()
	if s.accounts[home] == a {
		delete(s.accounts, home)
	}
	s.mu.Unlock()
	return storeError(cmp.Or(removeAll(s.fs, aside), s.removeParents(home)))
}

// leave is mailbox.leave for all of an account; a.mu is held. The UIDVALIDITY of
// a folder that is not open is not known without a scan, so only the order in
// our own journal tells. The mailboxes are those that are open, one more use
// of each.
func (a *account) leave(ctx context.Context) (aside string, boxes []*mailbox, err error) {
	s := a.store
	a.journaling.Lock()
	defer a.journaling.Unlock()
	names, err := a.names()
	if err != nil {
		return "", nil, err
	}
	for _, name := range names {
		dir, err := a.folderDir(name)
		if err != nil {
			return "", nil, err
		}
		if err := s.appendGone(ctx, departure{folder: folder{a.relHome(), dir}}); err != nil {
			return "", nil, err
		}
	}
	if aside, err = a.moveAside(a.home); err != nil {
		return "", nil, err
	}
	s.points.note()
	if err := s.fs.SyncDir(filepath.Dir(a.home)); err != nil {
		s.log.Warn("an account that was removed may come back after a power cut", "path", a.home, "cause", err)
	}
	// From here on nobody opens a mailbox of a; those that are open are
	// buried, and only then may the account be made anew.
	s.mu.Lock()
	defer s.mu.Unlock()
	a.gone.Store(true)
	for _, mb := range s.boxes {
		if mb.acct == a {
			mb.refs++
			s.unidle(mb)
			boxes = append(boxes, mb)
		}
	}
	return aside, boxes, nil
}

// removeParents removes the folders between a home that is gone and the root
// that nothing is left in: those of the last account of a domain. Each is
// durably gone before the next.
func (s *Store) removeParents(home string) error {
	s.parents.Lock()
	defer s.parents.Unlock()
	root := filepath.Clean(s.root)
	for dir := filepath.Dir(home); dir != root; dir = filepath.Dir(dir) {
		err := s.fs.Remove(dir)
		switch {
		case errors.Is(err, fs.ErrExist): // not empty
			return nil
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil:
			err = s.fs.SyncDir(filepath.Dir(dir))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes a tree. A symbolic link goes without what it leads to.
func removeAll(fsys vfs.FS, name string) error {
	info, err := fsys.Lstat(name)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return fsys.Remove(name)
	}
	entries, err := fsys.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		child := filepath.Join(name, e.Name())
		if e.IsDir() {
			err = removeAll(fsys, child)
		} else {
			err = fsys.Remove(child)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fsys.Remove(name)
}
