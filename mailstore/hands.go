package mailstore

import (
	"context"
	"errors"
	"path/filepath"

	"toastmaster/mailstore/box"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

// hands are recovery.Hands: what a start does again, in accounts and mailboxes.
type hands struct{ s *Store }

// Repeat does an operation on messages again, as far as it is not done.
func (h hands) Repeat(ctx context.Context, r *recovery.Record, x recovery.Repetition) (did int, err error) {
	s := h.s
	// Without its home there is no account; nor is one made for it.
	there, err := s.vol.IsMaildir(filepath.Join(s.vol.Root, r.Home, r.Dir))
	if err != nil || !there {
		return 0, err
	}
	acct, err := s.acquire(Account{Home: r.Home})
	if err != nil {
		return 0, err
	}
	defer s.putAccount(acct)
	from, err := acct.openDir(ctx, r.Dir)
	if err != nil {
		return 0, err
	}
	defer from.Put()
	if r.Kind == recovery.Expunged || x.ToLeaves {
		return box.RepeatExpunge(ctx, from, r, x)
	}
	if x.ToLeft {
		if there, err := s.vol.IsMaildir(filepath.Join(s.vol.Root, r.Home, r.To)); err != nil {
			return 0, err
		} else if !there && x.Seen {
			return 0, nil // what was there has left, what was not has stayed
		} else if !there {
			return box.RepeatExpunge(ctx, from, r, x)
		}
	}
	if err := acct.EnsureFolder(r.To); err != nil {
		return 0, err
	}
	to, err := acct.openDir(ctx, r.To)
	if err != nil {
		return 0, err
	}
	defer to.Put()
	return box.Repeat(ctx, from, to, r, x)
}

// Delete removes a mailbox that was being deleted.
func (h hands) Delete(ctx context.Context, r *recovery.Record) (did int, err error) {
	s := h.s
	path := filepath.Join(s.vol.Root, r.Home, r.Dir)
	if there, err := s.vol.IsMaildir(path); err != nil || !there || r.Dir == "" {
		return 0, err
	}
	acct, err := s.acquire(Account{Home: r.Home})
	if err != nil {
		return 0, err
	}
	defer s.putAccount(acct)
	mb, err := acct.openDir(ctx, r.Dir)
	if err != nil {
		return 0, err
	}
	defer mb.Put()
	aside, err := box.RepeatDelete(ctx, mb, r.Validity)
	if err != nil || aside == "" {
		return 0, err
	}
	return 1, volume.RemoveAll(s.vol.FS, aside)
}

// Rename gives the folders that still have their old names the new ones.
func (h hands) Rename(ctx context.Context, r *recovery.Record, leave func(recovery.Departure) error) (moved []string, over bool, err error) {
	s := h.s
	if there, err := s.vol.IsMaildir(filepath.Join(s.vol.Root, r.Home)); err != nil || !there {
		return nil, false, err
	}
	acct, err := s.acquire(Account{Home: r.Home})
	if err != nil {
		return nil, false, err
	}
	defer s.putAccount(acct)
	if err := acct.Lock(); err != nil {
		return nil, false, err
	}
	defer acct.Unlock()
	moves, err := acct.moves(r.Dir, r.To)
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrExists):
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	for _, m := range moves {
		err := acct.redoRenameFolder(ctx, leave, m[0], m[1])
		if errors.Is(err, recovery.ErrAnother) {
			continue
		}
		if err != nil {
			return moved, false, err
		}
		moved = append(moved, m[0])
	}
	if err := s.vol.FS.SyncDir(acct.home); err != nil {
		return moved, false, err
	}
	from, okFrom := maildir.FolderName(r.Dir, s.vol.Separator)
	to, okTo := maildir.FolderName(r.To, s.vol.Separator)
	if okFrom && okTo {
		err = acct.MoveSpecialUse(from, to)
	}
	return moved, true, err
}

func (a *heldAccount) redoRenameFolder(ctx context.Context, leave func(recovery.Departure) error, from, to string) error {
	mb, err := a.openDir(ctx, from)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			return a.vol.FS.Rename(filepath.Join(a.home, from), filepath.Join(a.home, to))
		}
		return err
	}
	defer mb.Put()
	return box.RepeatRename(ctx, mb, leave, to)
}

// Restore puts a message where it belongs.
func (h hands) Restore(ctx context.Context, r *recovery.Record, left bool, content func() ([]byte, error)) (int, error) {
	s := h.s
	if left {
		there, err := s.vol.IsMaildir(filepath.Join(s.vol.Root, r.Home, r.Dir))
		if err != nil || !there {
			return 0, err
		}
	}
	acct, err := s.acquire(Account{Home: r.Home})
	if err != nil {
		return 0, err
	}
	defer s.putAccount(acct)
	if err := acct.EnsureFolder(r.Dir); err != nil {
		return 0, err
	}
	mb, err := acct.openDir(ctx, r.Dir)
	if err != nil {
		return 0, err
	}
	defer mb.Put()
	var whole []byte
	if r.HasContent {
		if whole, err = content(); err != nil {
			return 0, err
		}
	}
	return box.Restore(ctx, mb, r, left, whole)
}
