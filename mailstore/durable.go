package mailstore

import (
	"context"
	"errors"
	"path/filepath"

	"toastmaster/mailstore/index"
)

// makeDurable ends a delivery that is answered OK. The file may be written
// before the journal's sync, because whoever does not get the OK sends again;
// when the sync fails it is taken back, so that the second try is no double.
func (mb *mailbox) makeDurable(ctx context.Context, m *index.Message, validity uint32, d *Delivery, in *incoming) error {
	if m == nil { // found in place, delivered before
		return mb.store().Checkpoint(ctx)
	}
	var err error
	if !mb.store().journals(d) {
		err = mb.syncMessage(ctx, m, in)
	}
	if err == nil {
		err = mb.journalMessage(ctx, m, validity, d)
	}
	if err == nil {
		return nil
	}
	last, cancel := mb.store().last()
	defer cancel()
	if undo := mb.takeBack(last, m.UID); undo != nil && !errors.Is(undo, ErrNotFound) {
		mb.store().log.Warn("taking a delivery back", "path", mb.path, "cause", undo)
	}
	return err
}

// syncMessage makes a message durable that does not go into the journal: its
// file and its name, not all that others have written to the file system. Its
// folder's own name may be as young as the message, so the first time in the
// life of mb in memory everything is synced.
func (mb *mailbox) syncMessage(ctx context.Context, m *index.Message, in *incoming) error {
	s := mb.store()
	if !mb.settled.Load() {
		if err := s.Checkpoint(ctx); err != nil {
			return err
		}
		mb.settled.Store(true)
		return nil
	}
	select {
	case <-s.points.broken: // nothing on this disk is believed any more
		return s.points.failure()
	default:
	}
	err := in.file.Sync()
	if err == nil && m.InNew {
		err = s.fs.SyncDir(filepath.Join(mb.path, "new"))
	}
	if err == nil {
		// Last: somebody may move it here meanwhile.
		err = s.fs.SyncDir(filepath.Join(mb.path, "cur"))
	}
	return err
}
