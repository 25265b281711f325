package mailstore

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

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
	defer s.put(from)
	if r.Kind == recovery.Expunged || x.ToLeaves {
		return from.redoExpunge(ctx, r, x)
	}
	if x.ToLeft {
		if there, err := s.vol.IsMaildir(filepath.Join(s.vol.Root, r.Home, r.To)); err != nil {
			return 0, err
		} else if !there {
			return from.redoExpunge(ctx, r, x)
		}
	}
	if err := acct.EnsureFolder(r.To); err != nil {
		return 0, err
	}
	to, err := acct.openDir(ctx, r.To)
	if err != nil {
		return 0, err
	}
	defer s.put(to)
	err = lockedBoth(ctx, from, to, func() (err error) {
		switch {
		case x.Left && r.Kind == recovery.Moved && from.st.UIDValidity != r.Validity:
			return nil
		case x.ToLeft && to.st.UIDValidity != r.ToValidity:
			did, err = from.redoExpungeLocked(r, x)
			return err
		}
		did, err = redoTransfer(ctx, from, to, r, x.Undo)
		return err
	})
	return did, err
}

func (mb *mailbox) redoExpunge(ctx context.Context, r *recovery.Record, x recovery.Repetition) (did int, err error) {
	err = mb.locked(ctx, func() (err error) {
		did, err = mb.redoExpungeLocked(r, x)
		return err
	})
	return did, err
}

// redoExpungeLocked removes what was expunged, or moved to where it is no more.
func (mb *mailbox) redoExpungeLocked(r *recovery.Record, x recovery.Repetition) (did int, err error) {
	if r.Kind == recovery.Copied || x.Undo || x.Left && mb.st.UIDValidity != r.Validity {
		return 0, nil
	}
	here, err := mb.places()
	if err != nil {
		return 0, err
	}
	if err := mb.bringToMind(r); err != nil {
		return 0, err
	}
	for _, it := range r.Items {
		p, ok := here[it.Name]
		if !ok {
			continue
		}
		if err := mb.unlink(p.file); err != nil {
			return did, err
		}
		did++
	}
	mb.wrote = mb.vol.Points.Note()
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
func (mb *mailbox) bringToMind(r *recovery.Record) error {
	wanted := make(map[string]uint32, len(r.Items))
	for _, it := range r.Items {
		wanted[it.Name] = it.UID
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
	for _, it := range r.Items {
		if _, ok := wanted[it.Name]; !ok {
			continue
		}
		uid := it.UID
		if r.Validity != mb.st.UIDValidity || mb.st.Get(uid) != nil {
			uid = next
		}
		next = max(next, uid+1)
		mb.batch.Add(&index.Message{UID: uid, ModSeq: modSeq, Name: it.Name, InNew: true})
		uids = append(uids, uid)
	}
	if len(uids) == 0 {
		return nil
	}
	slices.Sort(uids)
	if uids = slices.Compact(uids); r.Kind == recovery.Moved {
		mb.batch.Moved(uids, modSeq, mb.now().Unix())
	} else {
		mb.batch.Expunge(uids, modSeq, mb.now().Unix(), false)
	}
	mb.setGen++
	return mb.commit(nil)
}

// redoTransfer copies or moves what is not in its place yet, or takes that
// back. Both mailboxes are locked.
func redoTransfer(ctx context.Context, from, to *mailbox, r *recovery.Record, undo bool) (did int, err error) {
	here, err := from.places()
	if err != nil {
		return 0, err
	}
	there, err := to.places()
	if err != nil {
		return 0, err
	}
	removed := to.removedNames()
	for i := range r.Items {
		it := &r.Items[i]
		src, inFrom := here[it.Name]
		dst, inTo := there[it.NewName]
		done := true
		switch {
		case undo && !inTo, !undo && !inFrom:
			done = false
		case undo && r.Kind == recovery.Moved && !inFrom:
			err = from.store().vol.FS.Rename(filepath.Join(to.path, dst.file), filepath.Join(from.path, from.fileOf(it)))
		case undo:
			err = to.unlink(dst.file)
		case inTo && r.Kind == recovery.Moved:
			err = from.unlink(src.file)
		case inTo || r.Kind == recovery.Copied && removed[it.NewName]:
			done = false
		default:
			err = to.receiveAgain(filepath.Join(from.path, src.file), it, r.Kind == recovery.Moved)
		}
		if err != nil {
			return did, err
		}
		if done {
			did++
		}
	}
	if r.Kind == recovery.Moved && !undo {
		if err := from.bringToMind(r); err != nil {
			return did, err
		}
	}
	if did == 0 {
		return 0, nil
	}
	from.wrote = from.store().vol.Points.Note()
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
func (mb *mailbox) fileOf(it *recovery.Item) string {
	for _, m := range mb.st.Messages {
		if m.Name == it.Name {
			return m.File()
		}
	}
	flags := it.Flags &^ maildir.Keywords
	return (&index.Message{Name: it.Name, Flags: flags, InNew: flags == 0}).File()
}

// receiveAgain gives a file the name that it has here.
func (mb *mailbox) receiveAgain(file string, it *recovery.Item, move bool) error {
	marks, err := mb.marksAgain(it)
	if err != nil {
		return err
	}
	m := &index.Message{Name: it.NewName}
	setPlace(m, index.Rare{Odd: it.Rest != "", Rest: it.Rest}, marks)
	name := filepath.Join(mb.path, m.File())
	if move {
		return mb.vol.FS.Rename(file, name)
	}
	return mb.store().linkOrCopy(file, name, mb.path)
}

// marksAgain are the marks that a message of a record has here.
func (mb *mailbox) marksAgain(it *recovery.Item) (index.Marks, error) {
	marks, err := mb.flagBits(it.Keywords, makeMissing)
	return marks.Or(index.Marks{Flags: it.Flags &^ maildir.Keywords}), err
}

// bringKeywords logs the keywords without a letter, of which the file that was
// found says nothing.
func (mb *mailbox) bringKeywords(r *recovery.Record) error {
	byName := map[string]*recovery.Item{}
	for i := range r.Items {
		if it := &r.Items[i]; len(it.Keywords) > 0 {
			byName[it.NewName] = it
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
	defer s.put(mb)
	aside := ""
	err = mb.locked(ctx, func() (err error) {
		if mb.st.UIDValidity != r.Validity {
			return nil // another one of that name
		}
		if aside, err = acct.MoveAside(mb.path); err == nil {
			mb.bury()
			err = s.vol.FS.SyncDir(acct.home)
		}
		return err
	})
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
		if err := acct.redoRenameFolder(ctx, leave, m[0], m[1]); err != nil {
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
	defer a.store.put(mb)
	return mb.locked(ctx, func() error {
		if err := mb.writeUIDList(); err != nil {
			return err
		}
		if err := leave(recovery.Departure{Folder: recovery.Folder{Home: a.records.Home(), Dir: from}, Validity: mb.st.UIDValidity}); err != nil {
			return err
		}
		if err := a.vol.FS.Rename(mb.path, filepath.Join(a.home, to)); err != nil {
			return err
		}
		mb.bury()
		return nil
	})
}

// hands are recovery.Hands: what a start does again, in accounts and mailboxes.
type hands struct{ s *Store }

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
	defer s.put(mb)
	var whole []byte
	if r.HasContent {
		if whole, err = content(); err != nil {
			return 0, err
		}
	}
	date := time.Unix(r.Date, 0).In(time.FixedZone("", int(r.Zone)*60))
	d := &Delivery{Date: date, Content: envelope.Memory(whole), Flags: append(imapFlags(r.Flags), r.Keywords...)}
	did := 0
	defer acct.Quota.Distrust()
	err = mb.locked(ctx, func() (err error) {
		if left && mb.st.UIDValidity != r.Validity {
			return nil
		}
		restored, err := mb.restoreLocked(ctx, r, d)
		if restored {
			did = 1
		}
		return err
	})
	return did, err
}

func (mb *mailbox) restoreLocked(ctx context.Context, r *recovery.Record, d *Delivery) (bool, error) {
	if !r.HasContent {
		// Its file was synced with its name: what is missing was removed.
		return false, mb.compare(ctx, true)
	}
	known, err := mb.deliveredLocked(ctx, d, func(name string) bool { return name == r.Name })
	if err != nil || known {
		return false, err
	}
	in, err := mb.store().prepare(mb, d)
	if err != nil {
		return false, err
	}
	defer in.close()
	in.msg.Name = r.Name
	if r.Validity == mb.st.UIDValidity && mb.st.Get(r.UID) == nil {
		in.msg.UID = r.UID
	}
	_, err = mb.link(d, in)
	return true, err
}
