package box

import (
	"context"
	"errors"
	"io/fs"

	"toastmaster/internal/spool"
	"toastmaster/mailstore/volume"
)

// Refresh looks for changes by other programs. In the usual case, none, it
// costs three stats and no lock between processes. A failing disk is not
// hidden; a mailbox that is gone is ErrNotFound.
func (mb *Box) Refresh(ctx context.Context) error {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	return mb.refreshLocked(ctx)
}

func (mb *Box) refreshLocked(ctx context.Context) error {
	if mb.dead || !mb.loaded {
		return nil // views find it empty; who loads it looks for itself
	}
	n, c, err := mb.files.mtimes()
	if errors.Is(err, fs.ErrNotExist) {
		mb.went(ctx)
		mb.bury()
		return nil
	}
	if err != nil {
		return volume.Err(err)
	}
	grown, err := mb.log.Grown()
	if err != nil {
		return volume.Err(err)
	}
	scanNew, scanCur := mb.stamps.stale(mb.st, n, c)
	if !grown && !scanNew && !scanCur {
		return nil
	}
	if !grown && mb.stamps.tooSoon() {
		return nil
	}
	return volume.Err(mb.flocked(ctx, func() error { return mb.compare(ctx, false) }))
}

// lookAgain reads both directories.
func (mb *Box) lookAgain(ctx context.Context) error {
	return orExpunged(mb.locked(ctx, func() error {
		mb.stamps.forget()
		return mb.compare(ctx, false)
	}))
}

// compare reads what is stale and logs the differences. The locks are held.
// With rebuild set everything is read and dovecot-uidlist is believed.
func (mb *Box) compare(ctx context.Context, rebuild bool) error {
	n, c, err := mb.files.mtimes()
	if err != nil {
		return err
	}
	scanNew, scanCur := mb.stamps.stale(mb.st, n, c)
	if rebuild {
		scanNew, scanCur = true, true
	}
	if !scanNew && !scanCur {
		return nil
	}
	if mb.stamps.expungedLeft {
		if err := mb.finishUnlinks(); err != nil {
			return err
		}
		mb.stamps.expungedLeft = false
	}
	started := mb.now()
	mb.stamps.unread = false
	d := &difference{mb: mb, rebuild: rebuild}
	if err := d.scan(scanNew, scanCur); err != nil {
		return err
	}
	if err := mb.keywords.learn(mb.st, mb.batch); err != nil {
		return err
	}
	if err := d.merge(ctx); err != nil {
		return err
	}
	mb.stamps.scanned(mb.st, mb.batch, d, n, c)
	mb.keywords.nameLetters(mb.st, mb.batch, d.letters)
	mb.stamps.lastScan = mb.now()
	mb.stamps.scanTook = mb.stamps.lastScan.Sub(started)
	err = mb.commit(nil)
	if !spool.IsFull(err) || len(d.at) == 0 {
		return err
	}
	// The new messages wait for room; what is known can be read, and deleted.
	mb.vol.Log.Warn("the disk is full, new messages are not shown yet", "path", mb.path, "messages", len(d.at), "cause", err)
	d.at = nil
	mb.acct.Quota.Forget()
	if err := d.merge(ctx); err != nil {
		return err
	}
	mb.stamps.forget()
	return mb.commit(nil)
}
