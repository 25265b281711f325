package box

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/lockorder"
	"toastmaster/internal/spool"
	"toastmaster/mailstore/account"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

// Options are what a mailbox is made of.
type Options struct {
	Volume  *volume.Volume
	Journal *recovery.Journal
	Account *account.Account
	Memory  *Memory
	// Dir is the mailbox's folder below the account's home, "" for INBOX.
	Dir string
	// Open opens another mailbox of the account; with last set there is room for its
	// index also on a full disk. OpenDir is that of a folder. Who opens one puts it back.
	Open    func(ctx context.Context, name string, last bool) (*Box, error)
	OpenDir func(ctx context.Context, dir string) (*Box, error)
	// Put gives back one use of this mailbox.
	Put func()
	// Left is told that the mailbox is at its place no more, Lazy that it has, or has
	// no longer, something to be written by Tidy. Both under the lock of the mailbox.
	Left func()
	Lazy func(on bool)
}

// Box is one mailbox in memory, shared by all sessions of this process.
//
// The order of the locks is in the doc.go of package mailstore.
type Box struct {
	o    Options
	acct *account.Account
	vol  *volume.Volume
	dir  string // below home, "" for INBOX
	path string

	// deleted is set when the folder was; under the order of the account's records.
	deleted bool

	// settled says that the folder is durable with its name and those of its
	// parents.
	settled atomic.Bool

	mu lockorder.Mutex[volume.BoxLock]
	// flock stands for the lock of log.
	flock  lockorder.Mark[volume.FlockLock]
	loaded bool
	// version goes up with every change that a view could show.
	version uint64
	// unseen is what View.firstUnseen found in a version.
	unseen struct {
		version uint64
		first   uint32
		known   bool
	}
	// dead: the folder was deleted or renamed, see view.go. over says the
	// same to who does not hold mu.
	dead  bool
	over  atomic.Bool
	st    *index.State
	log   *index.Log
	cache *index.Cache
	batch index.Batch
	// more are keywords of unknown messages by their base names, in a rebuild.
	more  map[string]index.Keywords
	views map[*View]struct{}
	// flagsGen and setGen count changes of flags and of the set of messages
	// other than growth.
	flagsGen, setGen uint64
	flagSets         map[index.Marks][]imap.Flag
	isLazy           bool // as Options.Lazy was told
	// wrote is the epoch of the last change, added that of the last message
	// that came, and addedFrom the first UID that no checkpoint covers then.
	wrote, added uint64
	addedFrom    uint32
	sync         syncState
	uids         listState
}

// New makes a mailbox. It touches no file: see Load.
func New(o Options) *Box {
	path := filepath.Join(o.Account.Home(), o.Dir)
	mb := &Box{o: o, acct: o.Account, vol: o.Volume, dir: o.Dir, path: path, views: map[*View]struct{}{}}
	mb.mu.Key, mb.flock.Key = path, path+"\x00" // behind its own mailbox, before the next
	return mb
}

// Path is its folder.
func (mb *Box) Path() string { return mb.path }

// Put gives back one use of it.
func (mb *Box) Put() { mb.o.Put() }

// promised is what clients were told of the messages here, during recovery only.
func (mb *Box) promised() map[string]recovery.Promise {
	return mb.o.Journal.Promised(recovery.Folder{Home: mb.acct.Records.Home(), Dir: mb.dir})
}

// Sizes of what a mailbox holds, measured, for the bound on memory.
const (
	mailboxCost  = 4 << 10
	messageCost  = 200
	expungedCost = 120
)

// Weigh says whether mb can be used again and what it holds in memory.
func (mb *Box) Weigh() (usable bool, cost int64) {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if !mb.loaded || mb.dead {
		return false, 0
	}
	return true, mailboxCost + int64(len(mb.st.Messages))*messageCost + int64(len(mb.st.Expunged))*expungedCost
}

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
	if err := mb.vol.Complete(mb.path); err != nil {
		return err
	}
	log, err := index.OpenLog(index.Options{FS: mb.vol.FS, Dir: mb.path, Clock: mb.vol.Clock, Wait: mb.vol.Config.LockTimeout, Room: mb.vol.GiveRoom})
	if err != nil {
		return err
	}
	mb.log, mb.cache = log, index.OpenCache(mb.vol.FS, mb.path)
	mb.flock.Enter()
	defer func() {
		mb.flock.Leave()
		err = errors.Join(err, mb.log.Unlock())
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
	if mb.wrote = 0; mb.log.Fresh || !mb.vol.Points.Covers(changed) {
		mb.wrote = mb.vol.Points.Note()
		mb.noteAdded(1)
	}
	mb.uids.keys = 0
	err = mb.readKeywords()
	if err == nil {
		var letters maildir.Flags
		for _, m := range st.Messages {
			letters |= m.Flags
		}
		mb.nameLetters(letters)
	}
	if err == nil && damaged {
		mb.more, err = mb.readMoreKeywords()
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
	mb.sync = syncState{}
	if st.New.Racy {
		mb.sync.newDue = mb.now()
	}
	if st.Cur.Racy {
		mb.sync.curDue = mb.now()
	}
	mb.flagSets = map[index.Marks][]imap.Flag{}
}

// commit appends the batch and tells the views, except the one that did it.
func (mb *Box) commit(by *View) error { return mb.commitWith(mb.log.Append, by) }

// commitNew is commit for mail that comes, which gets no room that is kept for
// deletions.
func (mb *Box) commitNew() error { return mb.commitWith(mb.log.AppendNew, nil) }

func (mb *Box) commitWith(write func(*index.State, *index.Batch) error, by *View) error {
	if mb.batch.Empty() {
		return nil
	}
	err := write(mb.st, &mb.batch)
	mb.batch.Reset()
	if err != nil {
		return volume.Err(err)
	}
	mb.touched(by)
	return nil
}

// noteAdded remembers that messages from a UID on came just now.
func (mb *Box) noteAdded(uid uint32) {
	p := &mb.vol.Points
	if mb.added <= p.Durable() || uid < mb.addedFrom {
		mb.addedFrom = uid
	}
	mb.added = p.Note()
}

// fresh says that a message up to this UID may be covered by no checkpoint.
func (mb *Box) fresh(uid uint32) bool {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	return mb.added > mb.vol.Points.Durable() && uid >= mb.addedFrom
}

// touched marks a change and wakes the views.
func (mb *Box) touched(by *View) {
	mb.wrote = mb.vol.Points.Note()
	mb.later()
	mb.version++
	for v := range mb.views {
		if v == by {
			continue
		}
		select {
		case v.changed <- struct{}{}:
		default:
		}
	}
}

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

// Shut ends the mailbox's life in memory: everything lazy is written.
func (mb *Box) Shut(ctx context.Context) error {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if !mb.loaded {
		return nil
	}
	mb.loaded = false
	mb.notLazy()
	if mb.dead || mb.acct.Records.Removed() {
		return errors.Join(mb.log.Close(), mb.cache.Close())
	}
	err := mb.writeLast(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // another process has deleted or renamed the folder
	}
	return errors.Join(err, mb.log.Close(), mb.cache.Close())
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

func (mb *Box) now() time.Time { return mb.vol.Clock.Now() }

// locked runs f with the mailbox locked here and against other processes, and
// caught up with what they did. ErrNotFound when its folder was deleted or
// renamed. Both locks are given back whatever f does: its panic, which the
// fence of the session or delivery makes an error, is not everybody's trouble.
// ErrBusy when another process keeps its lock for store.lock_timeout.
func (mb *Box) locked(ctx context.Context, f func() error) error {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	return volume.Err(mb.flocked(ctx, f))
}

// flocked is locked for who holds mb.mu.
func (mb *Box) flocked(ctx context.Context, f func() error) (err error) {
	if mb.dead {
		return volume.ErrNotFound
	}
	mb.batch.Reset() // what an operation that failed left
	mb.flock.Enter()
	defer mb.flock.Leave()
	if err := mb.log.Lock(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mb.log.Unlock()) }()
	if err := mb.catchUp(ctx); err != nil {
		return err
	}
	return f()
}

// lockedBoth runs f with two mailboxes locked, in the order of their paths;
// everybody else locks one at a time.
func lockedBoth(ctx context.Context, a, b *Box, f func() error) error {
	if a == b {
		return a.locked(ctx, f)
	}
	if b.path < a.path {
		a, b = b, a
	}
	return a.locked(ctx, func() error { return b.locked(ctx, f) })
}

// catchUp reads what other processes wrote into the log.
func (mb *Box) catchUp(ctx context.Context) error {
	n, keys, next := len(mb.st.Messages), len(mb.st.Keywords), mb.st.UIDNext
	changed, reload, err := mb.log.CatchUp(ctx, mb.st)
	switch {
	case err != nil:
		return err
	case reload:
		return mb.load(ctx)
	}
	if changed {
		// Whatever it was: views compare in full.
		mb.setGen++
		mb.flagsGen++
		mb.touched(nil)
		if mb.st.UIDNext > next {
			mb.noteAdded(next)
		}
		if len(mb.st.Keywords) != keys {
			clear(mb.flagSets)
		}
		mb.acct.Quota.Changed(n != len(mb.st.Messages))
	}
	return nil
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
		if err := mb.writeUIDList(); err != nil {
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

// snapshotCost is about what a message takes in a snapshot.
const snapshotCost = 90

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
	return n > 0 && mb.st.Expunged[n-1].ModSeq > mb.st.Unlinked && mb.wrote <= durable
}

// Leave ends a mailbox whose account was removed: its views find it gone.
func (mb *Box) Leave() {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	mb.bury()
}

// bury ends the life of a mailbox whose folder is gone, or is another one's.
func (mb *Box) bury() {
	mb.dead = true
	mb.over.Store(true)
	mb.setGen++
	mb.touched(nil)
	mb.o.Left()
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
		mb.acct.Trail.Note(account.Place{Dir: mb.dir, Validity: mb.st.UIDValidity}, to)
	}
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
		for _, m := range mb.st.Messages {
			held.Bytes, held.Messages = held.Bytes+m.Size, held.Messages+1
		}
		aside, err = mb.takeAway(ctx)
		return err
	})
	return aside, held, err
}

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
			mb.acct.Trail.Note(account.Place{Dir: mb.dir, Validity: mb.st.UIDValidity}, to)
			mb.bury()
		}
		return err
	})
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
		mb.bury()
		err = mb.vol.FS.SyncDir(a.Home())
	}
	return aside, err
}

// AddTo adds the mailbox's messages to sum.
func (mb *Box) AddTo(sum *account.Usage) {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	for _, m := range mb.st.Messages {
		sum.Bytes += m.Size
	}
	sum.Messages += int64(len(mb.st.Messages))
}

const (
	// reserveUIDs and reserveModSeqs are how many are promised at once: one
	// fdatasync for so many deliveries while somebody looks; a crash skips
	// at most so many.
	reserveUIDs    = 1000
	reserveModSeqs = 1 << 20
)

// mustReserve says that a UID or mod-sequence in use is covered neither by a
// reservation nor by a checkpoint.
func (mb *Box) mustReserve() bool {
	st := mb.st
	if st.UIDNext <= max(st.ReservedUID, 1) && st.ModSeq < st.ReservedModSeq {
		return false
	}
	return mb.wrote > mb.vol.Points.Durable() && len(st.Messages)+len(st.Expunged) > 0
}

// reserve makes a reservation durable if one is needed, and commits the batch
// in any case. The locks are held.
func (mb *Box) reserve(ctx context.Context) error {
	need := mb.mustReserve()
	if need {
		mb.batch.Reserve(mb.st.UIDNext+reserveUIDs, mb.st.ModSeq+reserveModSeqs)
	}
	err := mb.commitQuietly()
	if need && spool.IsFull(err) {
		// What is promised is durable without the promise, then.
		return mb.vol.Checkpoint(ctx)
	}
	if err != nil || !need {
		return err
	}
	return mb.log.Sync()
}

// commitQuietly commits what no view shows.
func (mb *Box) commitQuietly() error {
	if mb.batch.Empty() {
		return nil
	}
	err := mb.log.Append(mb.st, &mb.batch)
	mb.batch.Reset()
	mb.wrote = mb.vol.Points.Note()
	return volume.Err(err)
}

// Status is the state of a mailbox.
type Status struct {
	UIDValidity   uint32
	UIDNext       uint32
	Messages      uint32
	Unseen        uint32
	Recent        uint32
	Deleted       uint32
	Size          int64 // sum of wire sizes
	HighestModSeq uint64
}

// Status reads it without opening a view; it opens no message file.
func (mb *Box) Status(ctx context.Context) (Status, error) {
	if err := mb.Refresh(ctx); err != nil {
		return Status{}, err
	}
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if mb.dead {
		return Status{}, volume.ErrNotFound
	}
	if mb.mustReserve() { // UIDNEXT is a promise, too
		if err := mb.flocked(ctx, func() error { return mb.reserve(ctx) }); err != nil {
			return Status{}, volume.Err(err)
		}
	}
	st := mb.st
	out := Status{UIDValidity: st.UIDValidity, UIDNext: st.UIDNext, Messages: uint32(len(st.Messages)), HighestModSeq: st.ModSeq}
	for _, m := range st.Messages {
		out.Size += m.Wire
		if m.Flags&maildir.Seen == 0 {
			out.Unseen++
		}
		if m.Flags&maildir.Trashed != 0 {
			out.Deleted++
		}
		if m.UID >= st.Recent {
			out.Recent++
		}
	}
	return out, nil
}
