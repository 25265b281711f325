package mailstore

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"toastmaster/internal/journal"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

// redoing says how an operation of before a crash is done again.
type redoing struct {
	// undo: it was taken back; what the disk has of it is removed.
	undo bool
	// toLeaves: the other folder left afterwards, with what was put there.
	toLeaves bool
	// left and toLeft: some other journal says that the folder has left. What
	// is there counts only if it is the same one.
	left, toLeft bool
}

// redo does an operation on messages again, as far as it is not done.
func (s *Store) redo(ctx context.Context, r *storedRecord, x redoing) (did int, err error) {
	// Without its home there is no account; nor is one made for it.
	there, err := s.isMaildir(filepath.Join(s.root, r.home, r.dir))
	if err != nil || !there {
		return 0, err
	}
	acct, err := s.acquire(Account{Home: r.home})
	if err != nil {
		return 0, err
	}
	defer s.releaseAccount(acct)
	from, err := acct.openDir(ctx, r.dir)
	if err != nil {
		return 0, err
	}
	defer s.release(from)
	if r.kind == kindExpunged || x.toLeaves {
		return from.redoExpunge(ctx, r, x)
	}
	if x.toLeft {
		if there, err := s.isMaildir(filepath.Join(s.root, r.home, r.to)); err != nil {
			return 0, err
		} else if !there {
			return from.redoExpunge(ctx, r, x)
		}
	}
	if err := acct.ensureFolder(r.to); err != nil {
		return 0, err
	}
	to, err := acct.openDir(ctx, r.to)
	if err != nil {
		return 0, err
	}
	defer s.release(to)
	err = lockedBoth(ctx, from, to, func() (err error) {
		switch {
		case x.left && r.kind == kindMoved && from.st.UIDValidity != r.validity:
			return nil
		case x.toLeft && to.st.UIDValidity != r.toVal:
			did, err = from.redoExpungeLocked(r, x)
			return err
		}
		did, err = redoTransfer(ctx, from, to, r, x.undo)
		return err
	})
	return did, err
}

func (mb *mailbox) redoExpunge(ctx context.Context, r *storedRecord, x redoing) (did int, err error) {
	err = mb.locked(ctx, func() (err error) {
		did, err = mb.redoExpungeLocked(r, x)
		return err
	})
	return did, err
}

// redoExpungeLocked removes what was expunged, or moved to where it is no more.
func (mb *mailbox) redoExpungeLocked(r *storedRecord, x redoing) (did int, err error) {
	if r.kind == kindCopied || x.undo || x.left && mb.st.UIDValidity != r.validity {
		return 0, nil
	}
	here, err := mb.places()
	if err != nil {
		return 0, err
	}
	if err := mb.bringToMind(r); err != nil {
		return 0, err
	}
	for _, it := range r.items {
		p, ok := here[it.name]
		if !ok {
			continue
		}
		if err := mb.unlink(p.file); err != nil {
			return did, err
		}
		did++
	}
	mb.wrote = mb.store().points.note()
	mb.forget()
	return did, nil
}

// places are the files by base name.
func (mb *mailbox) places() (map[string]place, error) {
	at := map[string]place{}
	return at, errors.Join(mb.list(at, "new", true), mb.list(at, "cur", false))
}

// bringToMind logs that the messages of a record were removed here, also those
// that the index never heard of: their deliveries may be repeated.
func (mb *mailbox) bringToMind(r *storedRecord) error {
	wanted := make(map[string]uint32, len(r.items))
	for _, it := range r.items {
		wanted[it.name] = it.uid
	}
	for i := range mb.st.Expunged {
		if e := &mb.st.Expunged[i]; !e.Vanished {
			delete(wanted, e.Name)
		}
	}
	var uids []uint32
	for _, m := range mb.st.Messages {
		if _, ok := wanted[m.Name]; ok {
			uids = append(uids, m.UID)
			delete(wanted, m.Name)
		}
	}
	next, modSeq := mb.st.UIDNext, mb.st.ModSeq+1
	for _, it := range r.items {
		if _, ok := wanted[it.name]; !ok {
			continue
		}
		uid := it.uid
		if r.validity != mb.st.UIDValidity || mb.st.Get(uid) != nil {
			uid = next
		}
		next = max(next, uid+1)
		mb.batch.Add(&index.Message{UID: uid, ModSeq: modSeq, Name: it.name, InNew: true})
		uids = append(uids, uid)
	}
	if len(uids) == 0 {
		return nil
	}
	slices.Sort(uids)
	if uids = slices.Compact(uids); r.kind == kindMoved {
		mb.batch.Moved(uids, modSeq, mb.now().Unix())
	} else {
		mb.batch.Expunge(uids, modSeq, mb.now().Unix(), false)
	}
	mb.goneGen++
	return mb.commit(nil)
}

// redoTransfer copies or moves what is not in its place yet, or takes that
// back. Both mailboxes are locked.
func redoTransfer(ctx context.Context, from, to *mailbox, r *storedRecord, undo bool) (did int, err error) {
	here, err := from.places()
	if err != nil {
		return 0, err
	}
	there, err := to.places()
	if err != nil {
		return 0, err
	}
	removed := to.removedNames()
	for i := range r.items {
		it := &r.items[i]
		src, inFrom := here[it.name]
		dst, inTo := there[it.newName]
		done := true
		switch {
		case undo && !inTo, !undo && !inFrom:
			done = false
		case undo && r.kind == kindMoved && !inFrom:
			err = from.store().fs.Rename(filepath.Join(to.path, dst.file), filepath.Join(from.path, from.fileOf(it)))
		case undo:
			err = to.unlink(dst.file)
		case inTo && r.kind == kindMoved:
			err = from.unlink(src.file)
		case inTo || r.kind == kindCopied && removed[it.newName]:
			done = false
		default:
			err = to.receiveAgain(filepath.Join(from.path, src.file), it, r.kind == kindMoved)
		}
		if err != nil {
			return did, err
		}
		if done {
			did++
		}
	}
	if r.kind == kindMoved && !undo {
		if err := from.bringToMind(r); err != nil {
			return did, err
		}
	}
	if did == 0 {
		return 0, nil
	}
	from.wrote = from.store().points.note()
	if err := errors.Join(from.compare(ctx, true), to.compare(ctx, true)); err != nil || undo {
		return did, err
	}
	return did, to.bringKeywords(r)
}

// removedNames are the messages that came here and were removed.
func (mb *mailbox) removedNames() map[string]bool {
	removed := map[string]bool{}
	for i := range mb.st.Expunged {
		if e := &mb.st.Expunged[i]; !e.Vanished {
			removed[e.Name] = true
		}
	}
	return removed
}

// fileOf is the file that a message had, or nearly.
func (mb *mailbox) fileOf(it *item) string {
	for _, m := range mb.st.Messages {
		if m.Name == it.name {
			return m.File()
		}
	}
	flags := it.flags &^ maildir.Keywords
	return (&index.Message{Name: it.name, Flags: flags, InNew: flags == 0}).File()
}

// receiveAgain gives a file the name that it has here.
func (mb *mailbox) receiveAgain(file string, it *item, move bool) error {
	marks, err := mb.marksAgain(it)
	if err != nil {
		return err
	}
	m := &index.Message{Name: it.newName}
	setPlace(m, index.Rare{Odd: it.rest != "", Rest: it.rest}, marks)
	name := filepath.Join(mb.path, m.File())
	if move {
		return mb.store().fs.Rename(file, name)
	}
	return mb.store().linkOrCopy(file, name, mb.path)
}

// marksAgain are the marks that a message of a record has here.
func (mb *mailbox) marksAgain(it *item) (index.Marks, error) {
	marks, err := mb.flagBits(it.keywords, makeMissing)
	return marks.Or(index.Marks{Flags: it.flags &^ maildir.Keywords}), err
}

// bringKeywords logs the keywords without a letter, of which the file that was
// found says nothing.
func (mb *mailbox) bringKeywords(r *storedRecord) error {
	byName := map[string]*item{}
	for i := range r.items {
		if it := &r.items[i]; len(it.keywords) > 0 {
			byName[it.newName] = it
		}
	}
	if len(byName) == 0 {
		return nil
	}
	for _, m := range mb.st.Messages {
		it := byName[m.Name]
		if it == nil {
			continue
		}
		marks, err := mb.marksAgain(it)
		if err != nil {
			return err
		}
		if rare := m.Rarely(); rare.Keywords != marks.Keywords {
			rare.Keywords = marks.Keywords
			mb.batch.Rare([]uint32{m.UID}, rare)
		}
	}
	return mb.commitQuietly()
}

// redoDelete removes a mailbox that was being deleted.
func (s *Store) redoDelete(ctx context.Context, r *storedRecord) (did int, err error) {
	path := filepath.Join(s.root, r.home, r.dir)
	if there, err := s.isMaildir(path); err != nil || !there || r.dir == "" {
		return 0, err
	}
	acct, err := s.acquire(Account{Home: r.home})
	if err != nil {
		return 0, err
	}
	defer s.releaseAccount(acct)
	mb, err := acct.openDir(ctx, r.dir)
	if err != nil {
		return 0, err
	}
	defer s.release(mb)
	aside := ""
	err = mb.locked(ctx, func() (err error) {
		if mb.st.UIDValidity != r.validity {
			return nil // another one of that name
		}
		if aside, err = acct.moveAside(mb.path); err == nil {
			mb.bury()
			err = s.fs.SyncDir(acct.home)
		}
		return err
	})
	if err != nil || aside == "" {
		return 0, err
	}
	return 1, removeAll(s.fs, aside)
}

// redoRename gives the folders that still have their old names the new ones, and
// notes that in the journal: the next start must not look for what came before
// under the old names, nor rename what has got one of them since.
func (s *Store) redoRename(ctx context.Context, j *journal.Journal, r *storedRecord) (moved []string, err error) {
	if there, err := s.isMaildir(filepath.Join(s.root, r.home)); err != nil || !there {
		return nil, err
	}
	acct, err := s.acquire(Account{Home: r.home})
	if err != nil {
		return nil, err
	}
	defer s.releaseAccount(acct)
	if err := acct.lock(); err != nil {
		return nil, err
	}
	defer acct.mu.Unlock()
	moves, err := acct.moves(r.dir, r.to)
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrExists):
		return nil, noteDone(ctx, j, appendUndone(r.operation))
	case err != nil:
		return nil, err
	}
	for _, m := range moves {
		if err := acct.redoRenameFolder(ctx, j, m[0], m[1]); err != nil {
			return moved, err
		}
		moved = append(moved, m[0])
	}
	if err := s.fs.SyncDir(acct.home); err != nil {
		return moved, err
	}
	from, okFrom := maildir.FolderName(r.dir, s.sep)
	to, okTo := maildir.FolderName(r.to, s.sep)
	if okFrom && okTo {
		err = acct.moveSpecialUse(from, to)
	}
	return moved, errors.Join(err, noteDone(ctx, j, appendUndone(r.operation)))
}

func noteDone(ctx context.Context, j *journal.Journal, record []byte) error {
	if err := j.AppendLazy(record); err != nil {
		return err
	}
	return j.Flush(ctx)
}

func (a *account) redoRenameFolder(ctx context.Context, j *journal.Journal, from, to string) error {
	mb, err := a.openDir(ctx, from)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			return a.store.fs.Rename(filepath.Join(a.home, from), filepath.Join(a.home, to))
		}
		return err
	}
	defer a.store.release(mb)
	return mb.locked(ctx, func() error {
		if err := mb.writeUIDList(); err != nil {
			return err
		}
		b := appendDeparture(departure{folder: folder{a.relHome(), from}, validity: mb.st.UIDValidity})
		if err := noteDone(ctx, j, b); err != nil {
			return err
		}
		if err := a.store.fs.Rename(mb.path, filepath.Join(a.home, to)); err != nil {
			return err
		}
		mb.bury()
		return nil
	})
}
