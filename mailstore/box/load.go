package box

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

// A mailbox comes into memory from its index, or, where that is lost, from its Maildir and
// dovecot-uidlist.

// Load loads the index the first time. An error about a folder that is not there is
// fs.ErrNotExist.
func (mb *Box) Load(ctx context.Context) (err error) {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	switch {
	case mb.dead:
		return volume.ErrNotFound
	case mb.loaded:
		return nil
	}
	// The log must not be made elsewhere than in a Maildir.
	there, err := mb.vol.IsMaildir(mb.path)
	if err != nil {
		return err
	}
	if !there {
		return &fs.PathError{Op: "open", Path: mb.path, Err: fs.ErrNotExist}
	}
	if err := mb.vol.MakeMissing(mb.path); err != nil {
		return err
	}
	log, err := index.OpenLog(index.Options{FS: mb.vol.FS, Dir: mb.path, Clock: mb.vol.Clock, Wait: mb.vol.Config.LockTimeout, Room: mb.vol.GiveRoom, Era: mb.vol.Era()})
	if err != nil {
		return err
	}
	mb.log, mb.records.cache = log, index.OpenCache(mb.vol.FS, mb.path)
	mb.batch = mb.o.Memory.batch()
	defer mb.giveBatch()
	mb.flock.Enter()
	defer func() {
		mb.flock.Leave()
		err = errors.Join(err, mb.unlock())
		if !mb.loaded {
			err = errors.Join(err, mb.log.Close())
		}
	}()
	err = mb.load(ctx)
	mb.loaded = err == nil
	return err
}

// load reads or rebuilds the index and compares it with the Maildir. It takes
// the lock of the log; the caller gives it back, after an error too.
func (mb *Box) load(ctx context.Context) error {
	mb.batch.Reset()
	st, err := mb.log.Load(ctx)
	damaged := errors.Is(err, index.ErrDamaged)
	if damaged {
		st, err = mb.rebuild(st)
	}
	if err != nil {
		return err
	}
	changed, err := mb.log.Changed()
	if err != nil {
		return err
	}
	if mb.st != nil && (st.UIDValidity != mb.st.UIDValidity || !st.Succeed(mb.st)) {
		// Somebody made the index anew. What views hold are the UIDs of another
		// mailbox.
		mb.bury()
		return volume.ErrNotFound
	}
	mb.adopt(st)
	if mb.epochs.wrote = 0; mb.log.Fresh || !mb.vol.Points.Covers(changed) {
		mb.epochs.changed()
		mb.epochs.came(1)
	}
	mb.keywords.read = 0
	err = mb.keywords.learn(mb.st, mb.batch)
	if err == nil {
		var letters maildir.Flags
		for _, m := range st.Messages {
			letters |= m.Flags
		}
		mb.keywords.nameLetters(mb.st, mb.batch, letters)
	}
	if err == nil && damaged {
		mb.more, err = mb.keywords.readMore(mb.st, mb.batch)
		defer func() { mb.more = nil }()
	}
	if err == nil {
		err = mb.finishUnlinks()
	}
	if err == nil {
		err = mb.compare(ctx, damaged)
	}
	if err == nil {
		err = mb.commit(nil)
	}
	return err
}

// adopt makes st the state: the first one, or the successor of what there was.
func (mb *Box) adopt(st *index.State) {
	if mb.st != nil {
		mb.setGen++
		mb.flagsGen++
		mb.version++
	}
	mb.st = st
	mb.states++
	mb.stamps.adopt(st)
	mb.keywords.none()
}

// rebuild makes a state where snapshot and log were lost or damaged; from is
// what could still be read. The lock of the log is held.
func (mb *Box) rebuild(from *index.State) (*index.State, error) {
	data, err := volume.ReadFile(mb.vol.FS, filepath.Join(mb.path, uidListFile))
	if err != nil {
		return nil, err
	}
	if from != nil || len(data) > 0 {
		mb.vol.Log.Info("rebuilding the index of a mailbox", "path", mb.path)
	}
	l, err := maildir.ParseUIDList(data)
	if err != nil {
		l = &maildir.UIDList{}
	}
	if mine := mb.st; mine != nil && (from == nil || from.UIDValidity == mine.UIDValidity && from.Position < mine.Position) {
		from = mine // sessions have its UIDs
	}
	st := from
	if st == nil || l.UIDValidity != 0 && st.UIDValidity != l.UIDValidity {
		validity := l.UIDValidity
		if validity == 0 {
			if validity, err = mb.acct.NextUIDValidity(); err != nil {
				return nil, err
			}
		}
		st = index.NewState(validity)
	}
	if from != nil {
		// Far from any position others know: they load anew.
		st.Position = from.Position + 1<<32
		st.Closed = false
		st.Recover()
	}
	if l.NextUID > st.UIDNext {
		st.UIDNext = l.NextUID
	}
	st.Recent = max(st.Recent, 1)
	next := st.UIDNext
	// The look at the Maildir that follows commits the first records. Until then nobody
	// finds a mailbox that has no messages, and would give them new UIDs.
	mb.log.Start()
	if next > 1 {
		mb.batch.Next(next, st.ModSeq)
	}
	return st, nil
}

// promised is what clients were told of the messages here, during recovery only.
func (mb *Box) promised() map[string]recovery.Promise {
	return mb.o.Journal.Promised(recovery.Folder{Home: mb.acct.Records.Home(), Dir: mb.dir})
}
