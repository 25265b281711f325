package mailstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/maildir"
)

// Folder is one mailbox in a listing.
type Folder struct {
	Name string
	// NoSelect: exists only as a parent of others.
	NoSelect   bool
	Subscribed bool
	// SpecialUse is one of the attributes of RFC 6154, or "".
	SpecialUse imap.MailboxAttr
	// HasChildren (RFC 3348).
	HasChildren bool
}

// List returns all folders, default folders that are not made yet, and, with
// NoSelect set, missing parents and
// subscriptions whose mailbox is gone, in name order with INBOX first.
// Matching patterns is the caller's.
func (u *User) List(ctx context.Context) ([]Folder, error) {
	a := u.acct
	if err := a.lock(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	names, err := a.names()
	if err != nil {
		return nil, storeError(err)
	}
	defaults, err := a.defaults()
	if err != nil {
		return nil, storeError(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	names = append(names, defaults...)
	subscribed, err := a.subscriptions()
	if err = a.passOver(subscriptionsFile, err); err != nil {
		return nil, err
	}
	uses, err := a.specialUses()
	if err = a.passOver(specialUseFile, err); err != nil {
		return nil, err
	}
	return sorted(merge(names, subscribed, uses, string(a.store.sep))), nil
}

// passOver drops, and logs, an error that concerns one small file only: a
// listing without it is better than none. Who would change it gets the error.
func (a *account) passOver(file string, err error) error {
	if odd(err) {
		a.store.sayOnce(filepath.Join(a.home, file), "a small file that cannot be read", err)
		return nil
	}
	return storeError(err)
}

// merge makes one entry of each name and of the parents that are missing.
func merge(names, subscribed []string, uses specialUse, sep string) []Folder {
	all := map[string]*Folder{}
	add := func(name string) *Folder {
		f := all[name]
		if f == nil {
			f = &Folder{Name: name, NoSelect: true}
			all[name] = f
		}
		return f
	}
	for _, name := range names {
		add(name).NoSelect = false
	}
	for _, name := range subscribed {
		add(name).Subscribed = true
	}
	for _, name := range append(names, subscribed...) {
		for i := strings.LastIndex(name, sep); i > 0; i = strings.LastIndex(name[:i], sep) {
			parent := add(name[:i])
			// A subscription alone makes no child.
			parent.HasChildren = parent.HasChildren || !all[name].NoSelect
		}
	}
	out := make([]Folder, 0, len(all))
	useOf := uses.of()
	for _, f := range all {
		f.SpecialUse = useOf(f.Name)
		if f.NoSelect {
			f.SpecialUse = ""
		}
		out = append(out, *f)
	}
	return out
}

// sorted sorts by name, INBOX first.
func sorted(folders []Folder) []Folder {
	slices.SortFunc(folders, func(a, b Folder) int {
		if (a.Name == maildir.Inbox) != (b.Name == maildir.Inbox) {
			if a.Name == maildir.Inbox {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return folders
}

// names lists the mailboxes that exist; a.mu is held.
func (a *account) names() ([]string, error) {
	entries, err := a.store.fs.ReadDir(a.home)
	if err != nil {
		return nil, err
	}
	names := []string{maildir.Inbox}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") || !e.IsDir() && e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		name, ok := maildir.FolderName(e.Name(), a.store.sep)
		if !ok {
			continue
		}
		path := filepath.Join(a.home, e.Name())
		there, err := a.store.isMaildir(path)
		if odd(err) {
			a.store.sayOnce(path, "a folder that cannot be looked into", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if there {
			names = append(names, name)
		}
	}
	return names, nil
}

// newDir is folderDir of a mailbox that may have to be made.
func (a *account) newDir(name string) (string, error) {
	dir, err := a.folderDir(name)
	if err != nil {
		return "", err
	}
	if there, err := a.hasFolder(dir); there && err == nil {
		return dir, nil // ErrExists is what the caller says
	}
	if _, err := maildir.NewFolderDir(name, a.store.sep); err != nil {
		return "", fmt.Errorf("%w: %q", ErrInvalidName, name)
	}
	return dir, a.store.checkDir(dir)
}

func (a *account) folderDir(name string) (string, error) {
	dir, err := maildir.FolderDir(name, a.store.sep)
	if err != nil {
		return "", fmt.Errorf("%w: %q", ErrInvalidName, name)
	}
	return dir, nil
}

// Create makes a mailbox, and its parents. specialUse may be "".
func (u *User) Create(ctx context.Context, name string, specialUse imap.MailboxAttr) error {
	a := u.acct
	name = u.canonical(name)
	dir, err := a.newDir(name)
	if err != nil {
		return err
	}
	if err := a.lock(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	if err := a.free(dir); err != nil {
		return err
	}
	if err := a.makeParents(name, 1); err != nil {
		return storeError(err)
	}
	if err := a.makeFolderSynced(dir); err != nil {
		return storeError(err)
	}
	if specialUse != "" {
		return storeError(a.setSpecialUse(name, specialUse))
	}
	return nil
}

// free is ErrExists if there is a mailbox, or a default one that is not made
// yet.
func (a *account) free(dir string) error {
	there, err := a.hasFolder(dir)
	if err == nil && !there {
		there, err = a.isPending(dir)
	}
	if err != nil {
		return storeError(err)
	}
	if there {
		return ErrExists
	}
	return nil
}

func (a *account) hasFolder(dir string) (bool, error) {
	if dir == "" {
		return true, nil
	}
	return a.store.isMaildir(filepath.Join(a.home, dir))
}

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
		return u.deletePending(name, dir)
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

// deletePending deletes a default folder that is not made yet.
func (u *User) deletePending(name, dir string) error {
	a := u.acct
	if err := a.lock(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	pending, err := a.isPending(dir)
	switch {
	case err != nil:
		return storeError(err)
	case !pending:
		return u.noFolder(name)
	}
	return storeError(a.forgetDefaults(name, false))
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
	aside := filepath.Join(a.store.root, private, "spool", "deleted-"+unique)
	return aside, a.store.fs.Rename(path, aside)
}

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
