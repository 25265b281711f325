package mailstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/account"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

// Folder is one mailbox in a listing.
type Folder = account.Folder

// List returns all folders, default folders that are not made yet, and, with
// NoSelect set, missing parents and
// subscriptions whose mailbox is gone, in name order with INBOX first.
// Matching patterns is the caller's.
func (u *User) List(ctx context.Context) ([]Folder, error) { return u.acct.List(ctx) }

// Create makes a mailbox, and its parents. specialUse may be "".
func (u *User) Create(ctx context.Context, name string, specialUse imap.MailboxAttr) error {
	return u.acct.Create(ctx, name, specialUse)
}

// Subscribe and unsubscribe; the mailbox need not exist to unsubscribe.
func (u *User) Subscribe(ctx context.Context, name string, on bool) error {
	return u.acct.Subscribe(ctx, name, on)
}

// MakeDefault makes a default folder of which Status knew no UIDVALIDITY.
func (u *User) MakeDefault(ctx context.Context, name string) error {
	dir, err := u.acct.FolderDir(name)
	if err != nil {
		return err
	}
	_, err = u.acct.MakePending(dir)
	return volume.Err(err)
}

// Delete removes a mailbox and its messages; its children stay. Open views of
// it get ErrGone.
func (u *User) Delete(ctx context.Context, name string) error {
	a := u.acct
	name = u.canonical(name)
	dir, err := a.FolderDir(name)
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
	defer mb.Put()
	if err := a.Lock(); err != nil {
		return err
	}
	defer a.Unlock()
	if err := a.ForgetDefaults(name, false); err != nil {
		return volume.Err(err)
	}
	// What was copied or moved out of it must be on disk before it goes.
	if a.records.CopiedLately() {
		if err := a.store.Checkpoint(ctx); err != nil {
			return err
		}
	}
	aside, held, err := mb.TakeAway(ctx)
	if err != nil {
		return err
	}
	a.Quota.Add(-held.Bytes, -held.Messages)
	if err := a.SetSpecialUse(name, ""); err != nil {
		return volume.Err(err)
	}
	return volume.Err(volume.RemoveAll(a.vol.FS, aside))
}

// deletePending deletes a default folder that is not made yet. It is not done,
// without an error, when somebody has made the folder since the caller looked for
// it.
func (u *User) deletePending(name, dir string) (done bool, err error) {
	a := u.acct
	if err := a.Lock(); err != nil {
		return false, err
	}
	defer a.Unlock()
	pending, err := a.IsPending(dir)
	if err == nil && pending {
		err = a.ForgetDefaults(name, false)
		return err == nil, volume.Err(err)
	}
	there := false
	if err == nil {
		there, err = a.HasFolder(dir)
	}
	switch {
	case err != nil:
		return false, volume.Err(err)
	case !there:
		return false, u.noFolder(name)
	}
	return false, nil
}

// noFolder is the error for a name that is not a mailbox.
func (u *User) noFolder(name string) error {
	names, err := u.acct.Names()
	if err != nil {
		return volume.Err(err)
	}
	prefix := name + string(u.acct.store.vol.Separator)
	for _, other := range names {
		if strings.HasPrefix(other, prefix) {
			return ErrHasChildren
		}
	}
	return ErrNotFound
}

// Rename moves a mailbox with its children, and the views of them. Renaming INBOX moves its messages
// to the new mailbox and leaves INBOX empty (RFC 3501 section 6.3.5).
func (u *User) Rename(ctx context.Context, from, to string) error {
	a := u.acct
	from, to = u.canonical(from), u.canonical(to)
	fromDir, err := a.FolderDir(from)
	if err != nil {
		return ErrNotFound
	}
	toDir, err := a.NewDir(to)
	if err != nil {
		return err
	}
	if toDir == "" {
		return ErrExists
	}
	if fromDir == "" {
		return u.renameInbox(ctx, to)
	}
	if strings.HasPrefix(toDir+".", fromDir+".") {
		return fmt.Errorf("%w: %q is below %q", ErrInvalidName, to, from)
	}
	if err := a.Lock(); err != nil {
		return err
	}
	defer a.Unlock()
	if err := a.Free(toDir); err != nil {
		return err
	}
	if _, err := a.MakePendingLocked(fromDir); err != nil {
		return volume.Err(err)
	}
	moves, err := a.moves(fromDir, toDir)
	if err != nil {
		return volume.Err(err)
	}
	if err := a.MakeParents(to, 0); err != nil {
		return volume.Err(err)
	}
	if err := a.ForgetDefaults(from, true); err != nil {
		return volume.Err(err)
	}
	// As when one is made: what had this name may have left its use.
	if err := a.SetSpecialUse(to, ""); err != nil {
		return volume.Err(err)
	}
	renaming, err := a.records.Renaming(ctx, fromDir, toDir)
	if err != nil {
		return volume.Err(err)
	}
	defer renaming.Settled()
	// First: what is left of this a start does again only with a folder that has
	// its old name.
	err = a.MoveSpecialUse(from, to)
	if err == nil {
		err = a.renameAll(ctx, moves)
	}
	if err != nil {
		return volume.Err(errors.Join(err, a.MoveSpecialUse(to, from)))
	}
	return volume.Err(a.vol.FS.SyncDir(a.home))
}

// renameAll renames a mailbox and those below it, all or none: what the end of
// the process leaves undone the next Open does. a.mu is held.
func (a *heldAccount) renameAll(ctx context.Context, moves [][2]string) (err error) {
	defer a.vol.Points.Changed()
	for i, m := range moves {
		if err = a.renameFolder(ctx, m[0], m[1], a.store.Checkpoint); err == nil {
			continue
		}
		for _, m := range moves[:i] {
			durable := func(context.Context) error { return nil } // a moment ago
			if back := a.renameFolder(ctx, m[1], m[0], durable); back != nil {
				a.vol.Log.Warn("a folder keeps its new name though renaming failed", "path", a.home, "folder", m[1], "cause", back)
			}
		}
		return err
	}
	return nil
}

// moves lists the folders to be renamed: the mailbox and its children.
func (a *heldAccount) moves(fromDir, toDir string) ([][2]string, error) {
	entries, err := a.vol.FS.ReadDir(a.home)
	if err != nil {
		return nil, err
	}
	var moves [][2]string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), fromDir)
		if !ok || rest != "" && rest[0] != '.' {
			continue
		}
		if a.store.journal.Waits(recovery.Folder{Home: a.records.Home(), Dir: e.Name()}) {
			return nil, ErrBusy // what is to be put there would not go along
		}
		target := toDir + rest
		if err := a.CheckDir(target); err != nil {
			return nil, err
		}
		if there, err := volume.Exists(a.vol.FS, filepath.Join(a.home, target)); err != nil || there {
			return nil, cmp.Or(err, ErrExists)
		}
		moves = append(moves, [2]string{e.Name(), target})
	}
	if len(moves) == 0 {
		return nil, ErrNotFound
	}
	// The mailbox itself last: a crash leaves it where it was.
	slices.SortFunc(moves, func(x, y [2]string) int { return cmp.Compare(len(y[0]), len(x[0])) })
	return moves, nil
}

// renameFolder renames one folder. Views of it follow; it is loaded from its new
// place.
func (a *heldAccount) renameFolder(ctx context.Context, from, to string, settle func(context.Context) error) error {
	mb, err := a.openDir(ctx, from)
	if errors.Is(err, ErrNotFound) || volume.Odd(err) {
		return a.vol.FS.Rename(filepath.Join(a.home, from), filepath.Join(a.home, to))
	}
	if err != nil {
		return err
	}
	defer mb.Put()
	return mb.Rename(ctx, to, settle)
}

func (u *User) renameInbox(ctx context.Context, to string) error {
	if err := u.Create(ctx, to, ""); err != nil {
		return err
	}
	v, err := u.Open(ctx, maildir.Inbox, false)
	if err != nil {
		return err
	}
	defer v.Close()
	seqs := make([]uint32, v.Len())
	for i := range seqs {
		seqs[i] = uint32(i) + 1
	}
	if len(seqs) == 0 {
		return nil
	}
	_, _, err = v.Move(ctx, seqs, to)
	return err
}
