package mailstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"toastmaster/mailstore/maildir"
)

// Rename moves a mailbox with its children, and the views of them. Renaming INBOX moves its messages
// to the new mailbox and leaves INBOX empty (RFC 3501 section 6.3.5).
func (u *User) Rename(ctx context.Context, from, to string) error {
	a := u.acct
	from, to = u.canonical(from), u.canonical(to)
	fromDir, err := a.folderDir(from)
	if err != nil {
		return ErrNotFound
	}
	toDir, err := a.newDir(to)
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
	if err := a.lock(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	if err := a.free(toDir); err != nil {
		return err
	}
	if _, err := a.makePendingLocked(fromDir); err != nil {
		return storeError(err)
	}
	moves, err := a.moves(fromDir, toDir)
	if err != nil {
		return storeError(err)
	}
	if err := a.makeParents(to, 0); err != nil {
		return storeError(err)
	}
	if err := a.forgetDefaults(from, true); err != nil {
		return storeError(err)
	}
	if err := a.renameAll(ctx, fromDir, toDir, moves); err != nil {
		return storeError(err)
	}
	return storeError(a.moveSpecialUse(from, to))
}

// renameAll renames a mailbox and those below it, all or none: what the end of
// the process leaves undone the next Open does. It is on disk when it returns.
// a.mu is held.
func (a *account) renameAll(ctx context.Context, fromDir, toDir string, moves [][2]string) error {
	s := a.store
	o := a.newOperation()
	if err := s.journal.AppendLazy(appendRenamed(folder{a.relHome(), fromDir}, o.id, toDir)); err != nil {
		return err
	}
	err := s.journal.Flush(ctx)
	for i := 0; err == nil && i < len(moves); i++ {
		if err = a.renameFolder(ctx, moves[i][0], moves[i][1], a.store.Checkpoint); err == nil {
			continue
		}
		for k := range i {
			settled := func(context.Context) error { return nil } // a moment ago
			if back := a.renameFolder(ctx, moves[k][1], moves[k][0], settled); back != nil {
				s.log.Warn("a folder keeps its new name though renaming failed", "path", a.home, "folder", moves[k][1], "cause", back)
			}
		}
	}
	if err == nil {
		err = s.fs.SyncDir(a.home)
	}
	s.points.note()
	o.undone() // it needs nothing more
	return err
}

// moves lists the folders to be renamed: the mailbox and its children.
func (a *account) moves(fromDir, toDir string) ([][2]string, error) {
	rel, err := filepath.Rel(a.store.root, a.home)
	if err != nil {
		return nil, err
	}
	entries, err := a.store.fs.ReadDir(a.home)
	if err != nil {
		return nil, err
	}
	var moves [][2]string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), fromDir)
		if !ok || rest != "" && rest[0] != '.' {
			continue
		}
		if a.store.unfinished.waits(folder{rel, e.Name()}) {
			return nil, ErrBusy // what is to be put there would not go along
		}
		target := toDir + rest
		if err := a.store.checkDir(target); err != nil {
			return nil, err
		}
		if there, err := exists(a.store.fs, filepath.Join(a.home, target)); err != nil || there {
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

// moveTo renames the folder, and tells other processes, if there is room.
func (mb *mailbox) moveTo(to string) error {
	mb.batch.Went(to)
	if err := mb.commitQuietly(); err != nil {
		mb.store().log.Warn("other processes are not told of a new name", "path", mb.path, "to", to, "cause", err)
	}
	return mb.store().fs.Rename(mb.path, filepath.Join(mb.acct.home, to))
}

// renameFolder renames one folder. Views of it follow; it is loaded from its new
// place.
func (a *account) renameFolder(ctx context.Context, from, to string, settle func(context.Context) error) error {
	mb, err := a.openDir(ctx, from)
	if errors.Is(err, ErrNotFound) || odd(err) {
		return a.store.fs.Rename(filepath.Join(a.home, from), filepath.Join(a.home, to))
	}
	if err != nil {
		return err
	}
	defer a.store.release(mb)
	return mb.locked(ctx, func() error {
		// What the journal would put here again must be durable here and then
		// not be put here.
		err := settle(ctx)
		if err == nil {
			err = mb.writeUIDList()
		}
		if err == nil {
			err = mb.leave(ctx, false, func() error { return mb.moveTo(to) })
		}
		if err == nil {
			a.trail.note(address{mb.dir, mb.st.UIDValidity}, to)
			mb.bury()
		}
		return err
	})
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
