package mailstore

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
)

// Expunge removes the messages seqs; the caller has chosen those with
// \Deleted. They leave the view, and are reported, at the next Update.
func (v *View) Expunge(ctx context.Context, seqs []uint32) error {
	if v.readOnly {
		return ErrReadOnly
	}
	var uids []uint32
	for _, seq := range seqs {
		if m := v.at(seq); m != nil {
			uids = append(uids, m.UID)
		}
	}
	return gone(v.mb.expunge(ctx, uids))
}

// expunge logs first and unlinks then: a crash between leaves files that the
// next load removes. The other order could bring back, by a replay of its
// delivery, what its owner had removed.
func (mb *mailbox) expunge(ctx context.Context, uids []uint32) error {
	// A copy made before (COPY, EXPUNGE is how old clients move) must be on
	// disk before the original goes.
	if mb.acct.copied.Load() > mb.store().points.durable.Load() {
		if err := mb.store().Checkpoint(ctx); err != nil {
			return err
		}
	}
	return storeError(mb.locked(ctx, func() error { return mb.expungeLocked(uids) }))
}

func (mb *mailbox) expungeLocked(uids []uint32) error {
	slices.Sort(uids)
	uids = slices.Compact(uids)
	var size int64
	var files []expungedFile
	live := uids[:0]
	for _, uid := range uids {
		if m := mb.st.Get(uid); m != nil {
			live = append(live, uid)
			files = append(files, expungedFile{m.Name, m.File()})
			size += m.Size
		}
	}
	if len(live) == 0 {
		return nil
	}
	o, err := mb.before(true, true)
	if err != nil {
		return err
	}
	// Deliveries that no checkpoint covers may be replayed after a power
	// loss: the log must tell then that their messages were removed.
	uncovered := mb.wrote > mb.store().points.durable.Load()
	mb.batch.Expunge(live, mb.st.ModSeq+1, mb.now().Unix(), false)
	mb.goneGen++
	if err := mb.commit(nil); err != nil {
		return err
	}
	mb.acct.addUsage(-size, -int64(len(live)))
	if uncovered {
		if err := mb.log.Sync(); err != nil {
			return err
		}
	}
	if err := mb.unlinkAll(files); err != nil {
		return err
	}
	if err := mb.after(o); err != nil {
		return err
	}
	return mb.commitQuietly()
}

// expungedFile is the file of a message that goes.
type expungedFile struct{ base, file string }

// unlinkAll removes files. One that is not where the index had it was renamed
// by another program: it is looked for under its base name, because a scan
// would take it for a new message.
func (mb *mailbox) unlinkAll(files []expungedFile) error {
	lost := map[string]bool{}
	for _, f := range files {
		err := mb.store().fs.Remove(filepath.Join(mb.path, f.file))
		if errors.Is(err, fs.ErrNotExist) {
			lost[f.base] = true
			continue
		}
		if err != nil {
			return err
		}
	}
	if len(lost) == 0 {
		return nil
	}
	found, err := mb.unlinkBases(lost)
	mb.store().log.Warn("files of expunged messages were not where the index has them",
		"path", mb.path, "messages", len(lost), "found", found)
	mb.forget()
	return err
}

// unlinkBases removes the files with these base names and counts them.
func (mb *mailbox) unlinkBases(bases map[string]bool) (n int, err error) {
	at := map[string]place{}
	if err := errors.Join(mb.list(at, "new", true), mb.list(at, "cur", false)); err != nil {
		return 0, err
	}
	for base, p := range at {
		if !bases[base] {
			continue
		}
		if err := mb.unlink(p.file); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (mb *mailbox) unlink(file string) error {
	err := mb.store().fs.Remove(filepath.Join(mb.path, file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// finishUnlinks removes the files of messages that were expunged shortly
// before a crash. The locks are held.
func (mb *mailbox) finishUnlinks() error {
	pending := map[string]bool{}
	for i := len(mb.st.Expunged) - 1; i >= 0 && mb.st.Expunged[i].ModSeq > mb.st.Unlinked; i-- {
		if e := &mb.st.Expunged[i]; !e.Vanished && e.Name != "" {
			pending[e.Name] = true
		}
	}
	if len(pending) == 0 {
		return nil
	}
	_, err := mb.unlinkBases(pending)
	return err
}

// unlinked notes, after a checkpoint, that no expunged file can come back.
func (mb *mailbox) unlinked(ctx context.Context, durable uint64) error {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if !mb.loaded || mb.dead || !mb.hasUnlinked(durable) {
		return nil
	}
	return mb.flocked(ctx, func() error {
		if mb.hasUnlinked(durable) {
			mb.batch.Unlinked(mb.st.Expunged[len(mb.st.Expunged)-1].ModSeq)
		}
		return mb.commitQuietly()
	})
}

func (mb *mailbox) hasUnlinked(durable uint64) bool {
	n := len(mb.st.Expunged)
	return n > 0 && mb.st.Expunged[n-1].ModSeq > mb.st.Unlinked && mb.wrote <= durable
}
