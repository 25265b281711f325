package box

import (
	"context"
	"errors"
	"io/fs"

	"toastmaster/internal/spool"
)

// What may lag behind: dovecot-uidlist, the snapshot of a long log, and the note that
// files of expunged messages are gone for good.

// later notes that there is something for Tidy.
func (mb *Box) later() {
	if mb.isLazy {
		return
	}
	mb.isLazy = true
	mb.o.Lazy(true)
}

// notLazy notes that there is nothing more.
func (mb *Box) notLazy() {
	mb.o.Lazy(false)
	mb.isLazy = false
}

// Tidy does what may lag behind; durable is the epoch that a checkpoint covers.
func (mb *Box) Tidy(ctx context.Context, durable uint64) error {
	if err := mb.unlinked(ctx, durable); err != nil {
		return err
	}
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if !mb.loaded || mb.dead {
		return nil
	}
	if mb.uids.written != mb.version && mb.now().Sub(mb.uids.at) >= mb.vol.Config.UIDListDelay {
		// What another process has written must not be replaced by less.
		if err := mb.flocked(ctx, mb.writeUIDList); err != nil {
			return err
		}
	}
	if err := mb.compact(ctx); err != nil {
		return err
	}
	if mb.uids.written == mb.version && !mb.hasUnlinked(^uint64(0)) {
		mb.notLazy()
	}
	return nil
}

// snapshotCost is about what a message takes in a snapshot.
const snapshotCost = 90

// writeUIDList brings dovecot-uidlist up to date, and the keywords that go with it; mb.mu is
// held. What we do not know (the mailbox GUID, POP3 UIDLs) is kept from the old file.
func (mb *Box) writeUIDList() error {
	if mb.uids.written == mb.version {
		return nil
	}
	if err := mb.keywords.writeMore(mb.st); err != nil {
		return err
	}
	return mb.uids.write(mb.st, mb.version)
}

// compact replaces a long log by a snapshot.
func (mb *Box) compact(ctx context.Context) error {
	limit := max(mb.vol.Config.LogLimit, int64(len(mb.st.Messages))*snapshotCost/2)
	if mb.log.Size() < limit {
		return nil
	}
	return mb.flocked(ctx, func() error {
		mb.st.ForgetExpunged(mb.now().Add(-mb.vol.Config.ExpungeMemory).Unix(), mb.vol.Config.ExpungeEntries)
		return mb.log.Reset(mb.st)
	})
}

// unlinked notes, after a checkpoint, that no expunged file can come back.
func (mb *Box) unlinked(ctx context.Context, durable uint64) error {
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

func (mb *Box) hasUnlinked(durable uint64) bool {
	n := len(mb.st.Expunged)
	return n > 0 && mb.st.Expunged[n-1].ModSeq > mb.st.Unlinked && mb.epochs.wrote <= durable
}

// Shut ends the mailbox's life in memory: everything lazy is written.
func (mb *Box) Shut(ctx context.Context) error {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if !mb.loaded {
		return nil
	}
	mb.loaded = false
	mb.notLazy()
	mb.o.Memory.columns.forget(mb)
	if mb.dead || mb.acct.Records.Removed() {
		return errors.Join(mb.log.Close(), mb.records.cache.Close())
	}
	err := mb.writeLast(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // another process has deleted or renamed the folder
	}
	return errors.Join(err, mb.log.Close(), mb.records.cache.Close())
}

// ShutNow is Shut of a mailbox that leaves memory, within store.close_timeout.
func (mb *Box) ShutNow() error {
	ctx, cancel := mb.vol.Last()
	defer cancel()
	return mb.Shut(ctx)
}

// writeLast writes what is lazy.
func (mb *Box) writeLast(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return mb.flocked(ctx, func() error {
		err := mb.writeUIDList()
		if spool.IsFull(err) {
			// Whoever needs it without us has the old one; the index has all.
			mb.vol.Log.Warn("no room for "+uidListFile, "path", mb.path, "cause", err)
			err = nil
		}
		if !mb.st.Closed {
			mb.batch.Reset()
			mb.batch.Close()
			err = errors.Join(err, mb.commit(nil))
		}
		return err
	})
}
