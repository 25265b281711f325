package box

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
)

// Repeat does an operation between two mailboxes of an account again, as far as it
// is not done.
func Repeat(ctx context.Context, from, to *Box, r *recovery.Record, x recovery.Repetition) (did int, err error) {
	a := again{r: r, x: x, from: from, to: to}
	err = lockedBoth(ctx, from, to, func() (err error) {
		switch {
		case x.Left && r.Kind == recovery.Moved && from.st.UIDValidity != r.Validity:
			return nil
		case x.ToLeft && x.Seen && to.st.UIDValidity != r.ToValidity:
			return nil // what was there has left, what was not has stayed
		case x.ToLeft && to.st.UIDValidity != r.ToValidity:
			did, err = a.expunge()
			return err
		}
		did, err = a.copyOrMove(ctx)
		return err
	})
	return did, err
}

// RepeatExpunge does again what an operation did to the mailbox that it took messages
// from.
func RepeatExpunge(ctx context.Context, mb *Box, r *recovery.Record, x recovery.Repetition) (did int, err error) {
	err = mb.locked(ctx, func() (err error) {
		did, err = again{r: r, x: x, from: mb}.expunge()
		return err
	})
	return did, err
}

// again is an operation on messages that is done once more, as far as it is not done. Its
// mailboxes are locked; to is nil when only from matters.
type again struct {
	r        *recovery.Record
	x        recovery.Repetition
	from, to *Box
}

// expunge removes what was expunged, or moved to where it is no more.
func (a again) expunge() (did int, err error) {
	mb, r, x := a.from, a.r, a.x
	if r.Kind == recovery.Copied || x.Undo || x.Left && mb.st.UIDValidity != r.Validity {
		return 0, nil
	}
	here, err := mb.files.places()
	if err != nil {
		return 0, err
	}
	if err := a.bringToMind(); err != nil {
		return 0, err
	}
	for _, it := range r.Items {
		p, ok := here[it.Name]
		if !ok {
			continue
		}
		if err := mb.files.unlink(p.file); err != nil {
			return did, err
		}
		did++
	}
	mb.epochs.changed()
	mb.stamps.forget()
	return did, nil
}

// bringToMind logs that the messages of the record left from, also those
// that the index never heard of: their deliveries may be repeated.
func (a again) bringToMind() error {
	mb, r := a.from, a.r
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
		if uid > index.MaxUID {
			continue // there is no number to remember it by
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

// copyOrMove copies or moves what is not in its place yet, or takes that
// back.
func (a again) copyOrMove(ctx context.Context) (did int, err error) {
	from, to, r, undo := a.from, a.to, a.r, a.x.Undo
	here, err := from.files.places()
	if err != nil {
		return 0, err
	}
	there, err := to.files.places()
	if err != nil {
		return 0, err
	}
	removed := removedNames(to.st)
	for i := range r.Items {
		it := &r.Items[i]
		src, inFrom := here[it.Name]
		dst, inTo := there[it.NewName]
		done := true
		switch {
		case undo && !inTo, !undo && !inFrom:
			done = false
		case undo && r.Kind == recovery.Moved && !inFrom:
			err = from.vol.FS.Rename(filepath.Join(to.path, dst.file), filepath.Join(from.path, fileOf(from.st, it)))
		case undo:
			err = to.files.unlink(dst.file)
		case inTo && r.Kind == recovery.Moved:
			err = from.files.unlink(src.file)
		case inTo || r.Kind == recovery.Copied && removed[it.NewName]:
			done = false
		default:
			err = a.receive(filepath.Join(from.path, src.file), it)
		}
		if err != nil {
			return did, err
		}
		if done {
			did++
		}
	}
	if r.Kind == recovery.Moved && !undo {
		if err := a.bringToMind(); err != nil {
			return did, err
		}
	}
	if did == 0 {
		return 0, nil
	}
	from.epochs.changed()
	if err := errors.Join(from.compare(ctx, true), to.compare(ctx, true)); err != nil || undo {
		return did, err
	}
	return did, a.bringKeywords()
}

// removedNames are the messages that came to a mailbox and were removed.
func removedNames(st *index.State) map[string]bool {
	removed := map[string]bool{}
	for i := range st.Expunged {
		if e := &st.Expunged[i]; !e.Vanished {
			removed[e.Name] = true
		}
	}
	return removed
}

// fileOf is the file that a message had, or nearly.
func fileOf(st *index.State, it *recovery.Item) string {
	for _, m := range st.Messages {
		if m.Name == it.Name {
			return m.File()
		}
	}
	flags := it.Flags &^ maildir.Keywords
	return (&index.Message{Name: it.Name, Flags: flags, InNew: flags == 0}).File()
}

// receive gives a file the name that it has in to.
func (a again) receive(file string, it *recovery.Item) error {
	flagSet, err := a.flagSet(it)
	if err != nil {
		return err
	}
	m := &index.Message{Name: it.NewName}
	setPlace(m, index.Rare{Odd: it.Rest != "", Rest: it.Rest}, flagSet)
	name := filepath.Join(a.to.path, m.File())
	if a.r.Kind == recovery.Moved {
		return a.to.vol.FS.Rename(file, name)
	}
	return a.to.files.linkOrCopy(file, name)
}

// flagSet is what a message of the record has in to.
func (a again) flagSet(it *recovery.Item) (index.FlagSet, error) {
	flagSet, err := a.to.flagBits(it.Keywords, makeMissing)
	return flagSet.Or(index.FlagSet{Flags: it.Flags &^ maildir.Keywords}), err
}

// bringKeywords logs the keywords without a letter, of which the file that was
// found says nothing.
func (a again) bringKeywords() error {
	mb, r := a.to, a.r
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
		flagSet, err := a.flagSet(it)
		if err != nil {
			return err
		}
		if rare := m.Rarely(); rare.Keywords != flagSet.Keywords {
			rare.Keywords = flagSet.Keywords
			mb.batch.Rare([]uint32{m.UID}, rare)
		}
	}
	return mb.commitQuietly()
}

// RepeatDelete takes the mailbox away again, to aside, unless another one has its name by
// now.
func RepeatDelete(ctx context.Context, mb *Box, validity uint32) (aside string, err error) {
	err = mb.locked(ctx, func() (err error) {
		if mb.st.UIDValidity != validity {
			return nil
		}
		if aside, err = mb.acct.MoveAside(mb.path); err == nil {
			mb.bury()
			err = mb.vol.FS.SyncDir(mb.acct.Home())
		}
		return err
	})
	return aside, err
}

// RepeatRename gives the folder its new name; leave is told before.
func RepeatRename(ctx context.Context, mb *Box, leave func(recovery.Departure) error, to string) error {
	return mb.locked(ctx, func() error {
		if err := mb.writeUIDList(); err != nil {
			return err
		}
		if err := leave(recovery.Departure{Folder: recovery.Folder{Home: mb.acct.Records.Home(), Dir: mb.dir}, Validity: mb.st.UIDValidity}); err != nil {
			return err
		}
		if err := mb.vol.FS.Rename(mb.path, filepath.Join(mb.acct.Home(), to)); err != nil {
			return err
		}
		mb.bury()
		return nil
	})
}

// Restore puts a message of the journal where it belongs, with its content if the
// record has it. left says that a mailbox of this name has left since: only that
// very mailbox gets it.
func Restore(ctx context.Context, mb *Box, r *recovery.Record, left bool, content []byte) (did int, err error) {
	date := time.Unix(r.Date, 0).In(time.FixedZone("", int(r.Zone)*60))
	d := &Delivery{Date: date, Content: envelope.Memory(content), Flags: append(imapFlags(r.Flags), r.Keywords...)}
	defer mb.acct.Quota.Distrust()
	err = mb.locked(ctx, func() (err error) {
		if left && mb.st.UIDValidity != r.Validity {
			return nil
		}
		restored, err := restoreLocked(ctx, mb, r, d)
		if restored {
			did = 1
		}
		return err
	})
	return did, err
}

func restoreLocked(ctx context.Context, mb *Box, r *recovery.Record, d *Delivery) (bool, error) {
	if !r.HasContent {
		// Its file was synced with its name: what is missing was removed.
		return false, mb.compare(ctx, true)
	}
	known, err := mb.deliveredLocked(ctx, d, func(name string) bool { return name == r.Name })
	if err != nil || known {
		return false, err
	}
	in, err := newIncoming(mb, d)
	if err != nil {
		return false, err
	}
	defer in.close()
	in.msg.Name = r.Name
	if r.Validity == mb.st.UIDValidity && mb.st.Get(r.UID) == nil {
		in.msg.UID = r.UID
	}
	_, err = in.link(d)
	return true, err
}
