package mailstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Delete removes a mailbox and its messages; its children stay. Open views of
// it get ErrGone.
func (u *User) Delete(ctx context.Context, name string) error {
	a := u.acct
	name = u.canonical(name)
	dir, err := a.folderDir(name)
	if err != nil || dir == "" {
		return fmt.Errorf("%w: %q cannot be deleted", ErrInvalidName, name)
	}
	mb, err := a.openDir(ctx, dir)
	if errors.Is(err, ErrNotFound) {
		if done, err := u.deletePending(name, dir); done || err != nil {
			return err
		}
		mb, err = a.openDir(ctx, dir)
	}
	if err != nil {
		return err
	}
	defer a.store.release(mb)
	if err := a.lock(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	if err := a.forgetDefaults(name, false); err != nil {
		return storeError(err)
	}
	// What was copied or moved out of it must be on disk before it goes.
	if a.copiedLately() || a.moved.Load() > a.store.points.durable.Load() {
		if err := a.store.Checkpoint(ctx); err != nil {
			return err
		}
	}
	var size, count int64
	var aside string
	err = mb.locked(ctx, func() error {
		for _, m := range mb.st.Messages {
			size, count = size+m.Size, count+1
		}
		aside, err = mb.takeAway(ctx)
		return err
	})
	if err != nil {
		return err
	}
	a.addUsage(-size, -count)
	if err := a.setSpecialUse(name, ""); err != nil {
		return storeError(err)
	}
	return storeError(removeAll(a.store.fs, aside))
}

// takeAway puts a mailbox where nobody finds it, durably. The locks are held.
func (mb *mailbox) takeAway(ctx context.Context) (aside string, err error) {
	a := mb.acct
	err = mb.leave(ctx, true, func() (err error) {
		aside, err = a.moveAside(mb.path)
		mb.deleted = err == nil
		return err
	})
	if err == nil {
		mb.bury()
		err = a.store.fs.SyncDir(a.home)
	}
	return aside, err
}

// deletePending deletes a default folder that is not made yet. It is not done,
// without an error, when somebody has made the folder since the caller looked for
// it.
func (u *User) deletePending(name, dir string) (done bool, err error) {
	a := u.acct
	if err := a.lock(); err != nil {
		return false, err
	}
	defer a.mu.Unlock()
	pending, err := a.isPending(dir)
	if err == nil && pending {
		err = a.forgetDefaults(name, false)
		return err == nil, storeError(err)
	}
	there := false
	if err == nil {
		there, err = a.hasFolder(dir)
	}
	switch {
	case err != nil:
		return false, storeError(err)
	case !there:
		return false, u.noFolder(name)
	}
	return false, nil
}

// noFolder is the error for a name that is not a mailbox.
func (u *User) noFolder(name string) error {
	names, err := u.acct.names()
	if err != nil {
		return storeError(err)
	}
	prefix := name + string(u.acct.store.sep)
	for _, other := range names {
		if strings.HasPrefix(other, prefix) {
			return ErrHasChildren
		}
	}
	return ErrNotFound
}

// moveAside renames a folder to where nobody finds it: one step, so that no
// crash leaves half a mailbox.
func (a *account) moveAside(path string) (string, error) {
	_, unique := a.store.uniqueName()
	aside := filepath.Join(a.store.root, Private, "spool", "deleted-"+unique)
	return aside, a.store.fs.Rename(path, aside)
}
