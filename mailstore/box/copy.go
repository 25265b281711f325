package box

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

// copyItem is a message to be copied: a picture of the original.
type copyItem struct {
	m        index.Message
	keywords []imap.Flag
	record   index.Record
}

// Copy copies messages to another mailbox of the same account, all or none,
// whatever ends the process meanwhile; the copies are on disk when it returns.
// The UIDs are in the order of seqs.
func (v *View) Copy(ctx context.Context, seqs []uint32, to string) (uidValidity uint32, uids []imap.UID, err error) {
	err = v.retry(ctx, func() (err error) {
		uidValidity, uids, err = v.copy(ctx, seqs, to)
		return err
	})
	return uidValidity, uids, err
}

func (v *View) copy(ctx context.Context, seqs []uint32, to string) (uidValidity uint32, uids []imap.UID, err error) {
	dest, err := v.mb.o.Open(ctx, to, false)
	if err != nil {
		return 0, nil, err
	}
	defer dest.Put()
	if err := v.makeDurable(ctx, seqs); err != nil {
		return 0, nil, err
	}
	for again := false; ; again = true {
		items, size, err := v.pictureNow(seqs)
		if err != nil {
			return 0, nil, err
		}
		// store.min_free is not asked: a copy is a second name of the file, and
		// the first half of how old clients delete.
		err = v.mb.acct.Quota.With(ctx, size, int64(len(items)), func() (err error) {
			// The originals stay while they are copied: who expunges one must see that
			// it was, or be seen.
			return lockedBoth(ctx, v.mb, dest, func() (err error) {
				uidValidity = dest.st.UIDValidity
				uids, err = (&copying{from: v.mb, to: dest, items: items}).do(ctx)
				return err
			})
		})
		switch {
		case !errors.Is(err, fs.ErrNotExist):
			return uidValidity, uids, volume.Err(err)
		case again:
			return 0, nil, volume.ErrExpunged
		}
		// An original was renamed meanwhile.
		if err := v.mb.lookAgain(ctx); err != nil {
			return 0, nil, err
		}
	}
}

// Move gives messages a place in another mailbox of the same account: each file
// is renamed, so that whatever ends the process, and after a power cut too, it
// is in one of both, and no other session moves it a second time. All or none
// are moved, and that is on disk when it returns.
func (v *View) Move(ctx context.Context, seqs []uint32, to string) (uidValidity uint32, uids []imap.UID, err error) {
	if v.readOnly {
		return 0, nil, volume.ErrReadOnly
	}
	err = v.retry(ctx, func() (err error) {
		uidValidity, uids, err = v.move(ctx, seqs, to)
		return err
	})
	return uidValidity, uids, err
}

func (v *View) move(ctx context.Context, seqs []uint32, to string) (uidValidity uint32, uids []imap.UID, err error) {
	dest, err := v.mb.o.Open(ctx, to, true)
	if err != nil {
		return 0, nil, err
	}
	defer dest.Put()
	if err := v.makeDurable(ctx, seqs); err != nil {
		return 0, nil, err
	}
	err = lockedBoth(ctx, v.mb, dest, func() (err error) {
		uidValidity = dest.st.UIDValidity
		uids, err = v.moveLocked(ctx, seqs, dest)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		v.mb.stamps.forget()
		if err = v.mb.compare(ctx, false); err == nil {
			uids, err = v.moveLocked(ctx, seqs, dest)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return volume.ErrExpunged
		}
		return err
	})
	return uidValidity, uids, orExpunged(err)
}

// makeDurable makes what messages are made of durable, before they get another name
// under which nobody would look for them: what a delivery that is repeated, or
// another copy of them, needs.
func (v *View) makeDurable(ctx context.Context, seqs []uint32) error {
	last := uint32(0)
	for _, seq := range seqs {
		last = max(last, v.uid(seq))
	}
	v.mb.mu.Lock()
	fresh := v.mb.epochs.fresh(last)
	v.mb.mu.Unlock()
	if !fresh && !v.mb.acct.Records.CopiedLately() {
		return nil
	}
	return v.mb.vol.Checkpoint(ctx)
}

// copying is a COPY or MOVE, from under the lock of to; a move has that of
// from, too.
type copying struct {
	op       *recovery.Operation
	from, to *Box
	move     bool
	items    []copyItem
	messages []*index.Message // as they will be in to
	files    []string         // of items, whole paths
	made     int              // so many have their new name
}

func (v *View) moveLocked(ctx context.Context, seqs []uint32, dest *Box) ([]imap.UID, error) {
	items, from, _, err := v.picture(seqs)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	source, err := v.mb.stamps.beginOwn(true, true)
	if err != nil {
		return nil, err
	}
	t := &copying{from: v.mb, to: dest, move: true, items: items}
	uids, err := t.do(ctx)
	if err == nil {
		t.forget(from, source)
	}
	return uids, err
}

// pictureNow is picture for who does not hold v.mb.mu.
func (v *View) pictureNow(seqs []uint32) (items []copyItem, size int64, err error) {
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	items, _, size, err = v.picture(seqs)
	return items, size, err
}

// picture reads what is needed of the originals; v.mb.mu is held.
func (v *View) picture(seqs []uint32) (items []copyItem, from []uint32, size int64, err error) {
	mb := v.mb
	for _, seq := range seqs {
		m := v.live(seq)
		if m == nil {
			return nil, nil, 0, volume.ErrExpunged
		}
		it := copyItem{m: *m, keywords: mb.keywords.set(mb.st, m.FlagSet().OnlyKeywords())}
		if m.CacheLen > 0 {
			if it.record, err = v.cache.copyOf(&mb.records, m); err != nil {
				return nil, nil, 0, err
			}
		}
		items, from, size = append(items, it), append(from, m.UID), size+m.Size
	}
	return items, from, size, nil
}

// do gives messages their names and UIDs in the other mailbox. With an error everything
// is as before.
func (t *copying) do(ctx context.Context) ([]imap.UID, error) {
	// Keywords first: they are committed on their own.
	flagSets, err := t.flagSets()
	if err != nil {
		return nil, err
	}
	if err := t.to.uidsLeft(len(t.items)); err != nil {
		return nil, err
	}
	t.name(flagSets)
	room := recovery.FreeRoom
	if t.move {
		room = recovery.AnyRoom
	}
	if t.op, err = t.to.acct.Records.Begin(ctx, t.record(), room); err != nil {
		return nil, err
	}
	done := false
	defer func() {
		if !done { // after a panic too
			t.undo()
		}
		t.op.End()
	}()
	o, err := t.to.stamps.beginOwn(true, true)
	if err != nil {
		return nil, err
	}
	if err := t.link(ctx); err != nil {
		return nil, err
	}
	if err := t.index(o); err != nil {
		return nil, err
	}
	done = true
	uids := make([]imap.UID, len(t.messages))
	for i, m := range t.messages {
		uids[i] = imap.UID(m.UID)
	}
	return uids, nil
}

// flagSets are the flags and keywords that the copies get in the other mailbox.
func (t *copying) flagSets() ([]index.FlagSet, error) {
	flagSets := make([]index.FlagSet, len(t.items))
	for i := range t.items {
		k, err := t.to.flagBits(t.items[i].keywords, needMissing)
		if err != nil {
			return nil, err
		}
		flagSets[i] = index.FlagSet{Flags: t.items[i].m.Flags &^ maildir.Keywords}.Or(k)
	}
	return flagSets, nil
}

// name chooses names and UIDs; flagSets are what the messages will have.
func (t *copying) name(flagSets []index.FlagSet) {
	mb := t.to
	next, modSeq := mb.st.UIDNext, mb.st.ModSeq+1
	for i := range t.items {
		old := &t.items[i].m
		seconds, unique := mb.vol.UniqueName()
		m := &index.Message{
			UID: next, ModSeq: modSeq, Date: old.Date, Zone: old.Zone, Size: old.Size, Wire: old.Wire,
			Name: maildir.BaseName(seconds, unique, mb.vol.Host(), old.Size, old.Wire),
		}
		setPlace(m, old.Rarely(), flagSets[i])
		t.messages = append(t.messages, m)
		t.files = append(t.files, filepath.Join(t.from.path, old.File()))
		next++
	}
}

func (t *copying) record() *recovery.Record {
	r := &recovery.Record{Kind: recovery.Copied, Dir: t.from.dir, To: t.to.dir, ToValidity: t.to.st.UIDValidity}
	if t.move {
		r.Kind, r.Validity = recovery.Moved, t.from.st.UIDValidity
	}
	for i, m := range t.messages {
		r.Items = append(r.Items, recovery.Item{
			UID: t.items[i].m.UID, Name: t.items[i].m.Name, NewUID: m.UID, NewName: m.Name,
			Flags: m.Flags, Keywords: t.items[i].keywords, Rest: m.Rarely().Rest, Date: m.Date, Zone: m.Zone,
		})
	}
	return r
}

// link gives the files their names.
func (t *copying) link(ctx context.Context) error {
	vol := t.to.vol
	t.to.acct.Records.NoteCopying()
	for i, m := range t.messages {
		name := filepath.Join(t.to.path, m.File())
		err := ctx.Err()
		switch {
		case err != nil:
		case t.move:
			err = vol.WithReserve(func() error { return vol.FS.Rename(t.files[i], name) })
		default:
			err = t.to.files.linkOrCopy(t.files[i], name)
		}
		if err != nil {
			return err
		}
		t.made++
	}
	return nil
}

// index logs the messages.
func (t *copying) index(o own) error {
	mb := t.to
	cacheEnd := mb.st.CacheEnd
	var size int64
	for i, m := range t.messages {
		cacheEnd = mb.records.add(cacheEnd, m, t.items[i].record)
		mb.batch.Add(m)
		size += m.Size
	}
	if err := mb.stamps.endOwn(mb.st, mb.batch, o); err != nil {
		return err
	}
	commit := mb.commitNew
	if t.move {
		commit = func() error { return mb.commit(nil) }
	}
	if err := commit(); err != nil {
		return err
	}
	mb.acct.Quota.Add(size, int64(len(t.messages)))
	mb.acct.Records.NoteCopying()
	return nil
}

// forget logs that messages went to another mailbox. Their files have gone
// already: what cannot be logged now is found by the next look.
func (t *copying) forget(uids []uint32, o own) {
	mb := t.from
	slices.Sort(uids)
	var size int64
	for _, uid := range uids {
		if m := mb.st.Get(uid); m != nil {
			size += m.Size
		}
	}
	mb.batch.Moved(uids, mb.st.ModSeq+1, mb.now().Unix())
	mb.setGen++
	err := mb.stamps.endOwn(mb.st, mb.batch, o)
	if err == nil {
		err = mb.commit(nil)
	}
	if err != nil {
		mb.batch.Reset()
		mb.stamps.forget()
		mb.vol.Log.Warn("messages were moved, the index does not know yet", "path", mb.path, "cause", err)
		return
	}
	mb.acct.Quota.Add(-size, -int64(len(uids)))
}

// undo takes back what was made.
func (t *copying) undo() {
	t.to.batch.Reset()
	var errs []error
	for i := range t.made {
		name := filepath.Join(t.to.path, t.messages[i].File())
		if t.move {
			errs = append(errs, t.to.vol.FS.Rename(name, t.files[i]))
		} else {
			errs = append(errs, t.to.vol.FS.Remove(name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.to.vol.Log.Warn("messages of a copy that failed were left", "path", t.to.path, "cause", err)
	}
	t.to.stamps.forget()
	if t.move {
		t.from.stamps.forget()
	}
	t.op.Undo()
}

// copiedRare is what a copy has of the rare things of the original: the letters
// that we do not know say something of the content (Dovecot's "Z": compressed).
func copiedRare(r index.Rare, flagSet index.FlagSet) index.Rare {
	r.Keywords = flagSet.Keywords
	if r.Odd {
		r.Rest = maildir.Respell(r.Rest, flagSet.Flags)
		r.Odd = !maildir.Usual(r.Rest, flagSet.Flags)
	}
	if !r.Odd {
		r.Rest = ""
	}
	return r
}

// setPlace puts the file of a message that is copied where its flagSet says; r is
// what the original had.
func setPlace(m *index.Message, r index.Rare, flagSet index.FlagSet) {
	m.Flags, m.InNew = flagSet.Flags, flagSet.Flags == 0
	m.SetRare(copiedRare(r, flagSet))
	m.InNew = m.InNew && !m.Rarely().Odd
}
