package box

import (
	"context"
	"errors"
	"path/filepath"

	"toastmaster/mailstore/account"
	"toastmaster/mailstore/recovery"
)

// A mailbox leaves its place when it is renamed or deleted, or when another program did
// that. From then on it is dead: views of it follow, or end (view.go).

// Rename gives the folder another name. Views of it follow; it is loaded from its new
// place. settle makes durable what the journal would put here again.
func (mb *Box) Rename(ctx context.Context, to string, settle func(context.Context) error) error {
	return mb.locked(ctx, func() error {
		// What the journal would put here again must be durable here and then
		// not be put here.
		err := settle(ctx)
		if err == nil {
			err = mb.writeUIDList()
		}
		if err == nil {
			err = mb.acct.Records.Leave(ctx, recovery.Departure{Folder: recovery.Folder{Dir: mb.dir}, Validity: mb.st.UIDValidity}, func() error { return mb.moveTo(to) })
		}
		if err == nil {
			mb.acct.Trail.Renamed(account.FolderID{Dir: mb.dir, Validity: mb.st.UIDValidity}, to)
			mb.tells = true
			mb.bury()
		}
		return err
	})
}

// moveTo renames the folder, and tells other processes, if there is room.
func (mb *Box) moveTo(to string) error {
	mb.batch.Went(to)
	if err := mb.commitQuietly(); err != nil {
		mb.vol.Log.Warn("other processes are not told of a new name", "path", mb.path, "to", to, "cause", err)
	}
	return mb.vol.FS.Rename(mb.path, filepath.Join(mb.acct.Home(), to))
}

// TakeAway puts a mailbox where nobody finds it, durably: aside is what is to be
// removed, held what was in it.
func (mb *Box) TakeAway(ctx context.Context) (aside string, held account.Usage, err error) {
	err = mb.locked(ctx, func() (err error) {
		n := mb.st.Counters()
		held.Bytes, held.Messages = n.Size, int64(n.Messages)
		aside, err = mb.takeAway(ctx)
		return err
	})
	return aside, held, err
}

// takeAway is TakeAway for who holds the locks.
func (mb *Box) takeAway(ctx context.Context) (aside string, err error) {
	a := mb.acct
	leaves := recovery.Departure{Folder: recovery.Folder{Dir: mb.dir}, Validity: mb.st.UIDValidity, Deleted: true}
	err = a.Records.Leave(ctx, leaves, func() (err error) {
		aside, err = a.MoveAside(mb.path)
		mb.deleted = err == nil
		return err
	})
	if err == nil {
		mb.tells = true
		mb.bury()
		err = mb.vol.FS.SyncDir(a.Home())
	}
	return aside, err
}

// Leave ends a mailbox whose account was removed: its views find it gone.
func (mb *Box) Leave() {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	mb.bury()
}

// went notes where the mailbox has gone, if its log tells. mb.mu is held, its
// folder is not there.
func (mb *Box) went(ctx context.Context) {
	mb.flock.Enter()
	defer mb.flock.Leave()
	if !mb.loaded || mb.log.Lock(ctx) != nil {
		return
	}
	_, reload, err := mb.log.CatchUp(ctx, mb.st)
	err = errors.Join(err, mb.log.Unlock())
	if to := mb.st.Went; err == nil && !reload && to != "" && to != mb.dir {
		mb.acct.Trail.Renamed(account.FolderID{Dir: mb.dir, Validity: mb.st.UIDValidity}, to)
	}
}

// bury ends the life of a mailbox whose folder is gone, or is another one's.
func (mb *Box) bury() {
	mb.dead = true
	mb.over.Store(true)
	mb.o.Memory.columns.forget(mb)
	mb.setGen++
	mb.touched(nil)
	mb.o.Left()
}
