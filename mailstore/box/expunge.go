package box

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

// Expunge removes the messages seqs; the caller has chosen those with
// \Deleted. They leave the view, and are reported, at the next Update.
func (v *View) Expunge(ctx context.Context, seqs []uint32) error {
	if v.readOnly {
		return volume.ErrReadOnly
	}
	return v.retry(ctx, func() error {
		return orExpunged(v.mb.expunge(ctx, func() (uids []uint32) {
			for _, seq := range seqs {
				if m := v.live(seq); m != nil {
					uids = append(uids, m.UID)
				}
			}
			return uids
		}))
	})
}

// expunge removes messages, which are chosen under the lock; that is on disk
// when it returns.
func (mb *Box) expunge(ctx context.Context, choose func() []uint32) error {
	// A copy made before (COPY, EXPUNGE is how old clients move) must be on
	// disk before the original goes.
	if err := mb.settleCopyings(ctx); err != nil {
		return err
	}
	return volume.Err(mb.locked(ctx, func() error {
		if err := mb.settleCopyings(ctx); err != nil { // what was made since
			return err
		}
		return mb.expungeLocked(ctx, choose())
	}))
}

// settleCopyings makes durable what was copied or moved by a process a moment ago.
func (mb *Box) settleCopyings(ctx context.Context) error {
	if !mb.acct.Records.CopiedLately() {
		return nil
	}
	return mb.vol.Checkpoint(ctx)
}

func (mb *Box) expungeLocked(ctx context.Context, uids []uint32) error {
	live := mb.living(uids)
	if len(live) == 0 {
		return nil
	}
	r := &recovery.Record{Kind: recovery.Expunged, Dir: mb.dir, Validity: mb.st.UIDValidity}
	for _, m := range live {
		r.Items = append(r.Items, recovery.Item{UID: m.UID, Name: m.Name})
	}
	o, failed := mb.acct.Records.Begin(ctx, r, recovery.AnyRoom)
	switch {
	case volume.IsFull(failed):
		// The journal has used its reserve. What is removed gives room back, so
		// it is done; it is durable if the log took it.
		err := mb.remove(live, false)
		if err == nil {
			err = mb.vol.Checkpoint(ctx)
		}
		if err == nil && mb.log.Holds() {
			err = failed
		}
		return err
	case failed != nil:
		return failed
	}
	defer o.End()
	err := mb.remove(live, false)
	if err != nil && mb.st.Get(live[0].UID) != nil {
		o.Undo()
	}
	return err
}

// takeBack removes a delivery that failed, after the journal may have failed.
func (mb *Box) takeBack(ctx context.Context, uid uint32) error {
	return volume.Err(mb.locked(ctx, func() error { return mb.remove(mb.living([]uint32{uid}), true) }))
}

// living are the messages of uids that exist, ascending.
func (mb *Box) living(uids []uint32) []*index.Message {
	slices.Sort(uids)
	live := make([]*index.Message, 0, len(uids))
	for _, uid := range slices.Compact(uids) {
		if m := mb.st.Get(uid); m != nil {
			live = append(live, m)
		}
	}
	return live
}

// remove logs first and unlinks then: a crash between leaves files that the
// next load removes. The other order could bring back, by a replay of its
// delivery, what its owner had removed. The journal tells of it, or else, with
// synced set, the log does.
func (mb *Box) remove(live []*index.Message, synced bool) error {
	if len(live) == 0 {
		return nil
	}
	var size int64
	uids, files := make([]uint32, len(live)), make([]expungedFile, len(live))
	for i, m := range live {
		uids[i], files[i] = m.UID, expungedFile{m.Name, m.File()}
		size += m.Size
	}
	o, err := mb.stamps.beginOwn(true, true)
	if err != nil {
		return err
	}
	mb.batch.Expunge(uids, mb.st.ModSeq+1, mb.now().Unix(), false)
	mb.setGen++
	if err := mb.commit(nil); err != nil {
		return err
	}
	mb.acct.Quota.Add(-size, -int64(len(live)))
	if synced {
		if err := mb.log.Sync(); err != nil {
			return err
		}
	}
	if err := mb.unlinkAll(files); err != nil {
		mb.stamps.expungedLeft = true
		mb.stamps.forget()
		return err
	}
	if err := mb.stamps.endOwn(mb.st, mb.batch, o); err != nil {
		return err
	}
	mb.epochs.changed()
	return mb.commitQuietly()
}

// expungedFile is the file of a message that goes.
type expungedFile struct{ base, file string }

// unlinkAll removes files. One that is not where the index had it was renamed
// by another program: it is looked for under its base name, because a scan
// would take it for a new message.
func (mb *Box) unlinkAll(files []expungedFile) error {
	lost := map[string]bool{}
	for _, f := range files {
		err := mb.vol.FS.Remove(filepath.Join(mb.path, f.file))
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
	found, err := mb.files.unlinkBases(lost)
	mb.vol.Log.Warn("files of expunged messages were not where the index has them",
		"path", mb.path, "messages", len(lost), "found", found)
	mb.stamps.forget()
	return err
}

// finishUnlinks removes the files of messages that were expunged shortly
// before a crash, or while the disk failed. The locks are held.
func (mb *Box) finishUnlinks() error {
	pending := map[string]bool{}
	for i := len(mb.st.Expunged) - 1; i >= 0 && mb.st.Expunged[i].ModSeq > mb.st.Unlinked; i-- {
		if e := &mb.st.Expunged[i]; !e.Vanished && !e.Moved && e.Name != "" {
			pending[e.Name] = true
		}
	}
	if len(pending) == 0 {
		return nil
	}
	_, err := mb.files.unlinkBases(pending)
	return err
}
