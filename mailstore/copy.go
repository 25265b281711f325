package mailstore

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

// copyItem is a message to be copied: a picture of the original.
type copyItem struct {
	m         index.Message
	keywords  []imap.Flag
	structure []byte
}

// Copy copies messages to another mailbox of the same account, all or none.
// The UIDs are in the order of seqs.
func (v *View) Copy(ctx context.Context, seqs []uint32, to string) (uidValidity uint32, uids []imap.UID, err error) {
	acct := v.mb.acct
	dest, err := acct.open(ctx, to)
	if err != nil {
		return 0, nil, err
	}
	defer acct.store.release(dest)
	for again := false; ; again = true {
		items, size, err := v.pictureNow(seqs)
		if err != nil {
			return 0, nil, err
		}
		if err := acct.checkQuota(ctx, size, int64(len(items))); err != nil {
			return 0, nil, err
		}
		validity, uids, err := dest.receive(ctx, v.mb.path, items)
		switch {
		case !errors.Is(err, fs.ErrNotExist):
			return validity, uids, storeError(err)
		case again:
			return 0, nil, ErrExpunged
		}
		// An original was renamed meanwhile.
		if err := v.mb.lookAgain(ctx); err != nil {
			return 0, nil, err
		}
	}
}

// Move is Copy and Expunge as one step: no crash leaves a message in neither,
// no other session moves it a second time.
func (v *View) Move(ctx context.Context, seqs []uint32, to string) (uidValidity uint32, uids []imap.UID, err error) {
	if v.readOnly {
		return 0, nil, ErrReadOnly
	}
	acct := v.mb.acct
	dest, err := acct.open(ctx, to)
	if err != nil {
		return 0, nil, err
	}
	defer acct.store.release(dest)
	err = lockedBoth(ctx, v.mb, dest, func() (err error) {
		uidValidity = dest.st.UIDValidity
		uids, err = v.moveLocked(ctx, seqs, dest)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		v.mb.forget()
		if err = v.mb.compare(ctx, false); err == nil {
			uids, err = v.moveLocked(ctx, seqs, dest)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return ErrExpunged
		}
		return err
	})
	return uidValidity, uids, gone(err)
}

func (v *View) moveLocked(ctx context.Context, seqs []uint32, dest *mailbox) ([]imap.UID, error) {
	items, from, _, err := v.picture(seqs)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	uids, err := dest.receiveLocked(v.mb.path, items)
	if err != nil {
		return nil, err
	}
	// The copies must be on disk before the originals go.
	if err := v.mb.store().Checkpoint(ctx); err != nil {
		return uids, err
	}
	return uids, v.mb.expungeLocked(from)
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
			return nil, nil, 0, ErrExpunged
		}
		it := copyItem{m: *m, keywords: mb.flagSet(m.Marks().OnlyKeywords())}
		if m.CacheLen > 0 {
			data, err := v.cached(m)
			if err != nil {
				return nil, nil, 0, err
			}
			it.structure = slices.Clone(data)
		}
		items, from, size = append(items, it), append(from, m.UID), size+m.Size
	}
	return items, from, size, nil
}

// receive links copies into this mailbox, all or none. fromPath is the
// mailbox of the originals.
func (mb *mailbox) receive(ctx context.Context, fromPath string, items []copyItem) (validity uint32, uids []imap.UID, err error) {
	err = mb.locked(ctx, func() (err error) {
		validity = mb.st.UIDValidity
		uids, err = mb.receiveLocked(fromPath, items)
		return err
	})
	return validity, uids, err
}

func (mb *mailbox) receiveLocked(fromPath string, items []copyItem) ([]imap.UID, error) {
	s := mb.store()
	// Keywords first: they are committed on their own.
	marks, err := mb.marksOf(items)
	if err != nil {
		return nil, err
	}
	o, err := mb.before(true, true)
	if err != nil {
		return nil, err
	}
	var made []string
	undo := func(err error) error {
		mb.batch.Reset()
		for _, name := range made {
			err = errors.Join(err, s.fs.Remove(name))
		}
		mb.forget()
		return err
	}
	uids := make([]imap.UID, 0, len(items))
	next, modSeq := mb.st.UIDNext, mb.st.ModSeq+1
	cacheEnd := mb.st.CacheEnd
	var size int64
	for i := range items {
		old := &items[i].m
		seconds, unique := s.uniqueName()
		m := &index.Message{
			UID: next, Flags: marks[i].Flags, ModSeq: modSeq, Date: old.Date, Zone: old.Zone, Size: old.Size, Wire: old.Wire,
			Name: maildir.BaseName(seconds, unique, s.host, old.Size, old.Wire), InNew: marks[i].Flags == 0,
		}
		m.SetRare(copiedRare(old, marks[i]))
		m.InNew = m.InNew && !m.Rarely().Odd
		name := filepath.Join(mb.path, m.File())
		if err := s.fs.Link(filepath.Join(fromPath, old.File()), name); err != nil {
			return nil, undo(err)
		}
		made = append(made, name)
		if data := items[i].structure; len(data) > 0 {
			if k, err := mb.cache.Append(cacheEnd, m.UID, data); err == nil {
				m.CacheOff, m.CacheLen = cacheEnd, k
				cacheEnd += int64(k)
			}
		}
		mb.batch.Add(m)
		uids = append(uids, imap.UID(next))
		next, size = next+1, size+old.Size
	}
	if err := mb.after(o); err != nil {
		return nil, undo(err)
	}
	if err := mb.commit(nil); err != nil {
		return nil, undo(err)
	}
	mb.acct.addUsage(size, int64(len(items)))
	mb.acct.noteCopy(mb.wrote)
	return uids, nil
}

// marksOf are the flags and keywords that the copies get here.
func (mb *mailbox) marksOf(items []copyItem) ([]index.Marks, error) {
	marks := make([]index.Marks, len(items))
	for i := range items {
		k, err := mb.flagBits(items[i].keywords, needMissing)
		if err != nil {
			return nil, err
		}
		marks[i] = index.Marks{Flags: items[i].m.Flags &^ maildir.Keywords}.Or(k)
	}
	return marks, nil
}

// copiedRare is what a copy has of the rare things of the original: the letters
// that we do not know say something of the content (Dovecot's "Z": compressed).
func copiedRare(old *index.Message, marks index.Marks) index.Rare {
	r := old.Rarely()
	r.Keywords = marks.Keywords
	if r.Odd {
		r.Rest = maildir.Respell(r.Rest, marks.Flags)
		r.Odd = !maildir.Usual(r.Rest, marks.Flags)
	}
	if !r.Odd {
		r.Rest = ""
	}
	return r
}
