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

// Copy copies messages to another mailbox of the same account, all or none.
// The UIDs are in the order of seqs.
func (v *View) Copy(ctx context.Context, seqs []uint32, to string) (uidValidity uint32, uids []imap.UID, err error) {
	validity, uids, _, err := v.copy(ctx, seqs, to, true)
	return validity, uids, err
}

// Move is Copy and Expunge as one step: no crash leaves a message in neither.
func (v *View) Move(ctx context.Context, seqs []uint32, to string) (uidValidity uint32, uids []imap.UID, err error) {
	if v.readOnly {
		return 0, nil, ErrReadOnly
	}
	validity, uids, from, err := v.copy(ctx, seqs, to, false)
	if err != nil || len(from) == 0 {
		return validity, uids, err
	}
	// expunge checkpoints first, because copies were made.
	return validity, uids, gone(v.mb.expunge(ctx, from))
}

// copyItem is a message to be copied: a picture of the original.
type copyItem struct {
	m         index.Message
	keywords  []imap.Flag
	structure []byte
	name      string // of the new file
}

// copy returns also the UIDs of the originals.
func (v *View) copy(ctx context.Context, seqs []uint32, to string, quota bool) (uint32, []imap.UID, []uint32, error) {
	acct := v.mb.acct
	dest, err := acct.open(ctx, to)
	if err != nil {
		return 0, nil, nil, err
	}
	defer acct.store.release(dest)
	for again := false; ; again = true {
		items, from, size, err := v.picture(seqs)
		if err != nil {
			return 0, nil, nil, err
		}
		if quota {
			if err := acct.checkQuota(ctx, size, int64(len(items))); err != nil {
				return 0, nil, nil, err
			}
		}
		validity, uids, err := dest.receive(ctx, v.mb.path, items)
		if errors.Is(err, fs.ErrNotExist) && !again {
			// The original was renamed meanwhile.
			if err := v.mb.lookAgain(ctx); err != nil {
				return 0, nil, nil, err
			}
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = ErrExpunged
		}
		return validity, uids, from, storeError(err)
	}
}

// picture reads what is needed of the originals.
func (v *View) picture(seqs []uint32) (items []copyItem, from []uint32, size int64, err error) {
	mb := v.mb
	mb.mu.Lock()
	defer mb.mu.Unlock()
	for _, seq := range seqs {
		m := v.live(seq)
		if m == nil {
			return nil, nil, 0, ErrExpunged
		}
		it := copyItem{m: *m, keywords: mb.flagSet(m.Flags & maildir.Keywords)}
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
func (mb *mailbox) receive(ctx context.Context, fromPath string, items []copyItem) (uint32, []imap.UID, error) {
	if err := mb.begin(ctx); err != nil {
		return 0, nil, err
	}
	uids, err := mb.receiveLocked(fromPath, items)
	return mb.st.UIDValidity, uids, errors.Join(err, mb.end())
}

func (mb *mailbox) receiveLocked(fromPath string, items []copyItem) ([]imap.UID, error) {
	s := mb.store()
	// Keywords first: they are committed on their own.
	bits := make([]maildir.Flags, len(items))
	for i := range items {
		k, err := mb.flagBits(items[i].keywords, false)
		if err != nil {
			return nil, err
		}
		bits[i] = items[i].m.Flags&^maildir.Keywords | k
	}
	n, c, err := mb.before()
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
			UID: next, Flags: bits[i], ModSeq: modSeq, Date: old.Date, Zone: old.Zone, Size: old.Size, Wire: old.Wire,
			Name: maildir.BaseName(seconds, unique, s.host, old.Size, old.Wire), InNew: bits[i] == 0,
		}
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
	if err := mb.after(n, c); err != nil {
		return nil, undo(err)
	}
	if err := mb.commit(nil); err != nil {
		return nil, undo(err)
	}
	mb.acct.addUsage(size, int64(len(items)))
	mb.acct.noteCopy(mb.wrote)
	return uids, nil
}
