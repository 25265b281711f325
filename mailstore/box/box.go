package box

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"toastmaster/internal/lockorder"
	"toastmaster/internal/spool"
	"toastmaster/mailstore/account"
	"toastmaster/mailstore/index"
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
	// Changed is told, after the lock among processes was given back, that other
	// processes which have the mailbox in memory should look at it.
	Changed func()
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
	// files are what lies in it.
	files folder

	// deleted is set when the folder was; under the order of the account's records.
	deleted bool

	// settled says that the folder is durable with its name and those of its
	// parents.
	settled atomic.Bool

	mu lockorder.Mutex[volume.BoxLock]
	// flock stands for the lock of log.
	flock  lockorder.Foreign[volume.FlockLock]
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
	dead bool
	over atomic.Bool
	st   *index.State
	log  *index.Log
	// batch is what the operation under way logs; it is lent for the time of flock.
	batch *index.Batch
	// more are keywords of unknown messages by their base names, in a rebuild.
	more  map[string]index.Keywords
	views map[*View]struct{}
	// states counts the states that st was.
	states uint64
	// flagsGen and setGen count changes of flags and of the set of messages
	// other than growth.
	flagsGen, setGen uint64
	isLazy           bool // as Options.Lazy was told
	tells            bool // Options.Changed is to be told
	stamps           stamps
	uids             uidList
	epochs           epochs
	keywords         keywords
	records          records
}

// New makes a mailbox. It touches no file: see Load.
func New(o Options) *Box {
	path := filepath.Join(o.Account.Home(), o.Dir)
	mb := &Box{o: o, acct: o.Account, vol: o.Volume, dir: o.Dir, path: path, files: folder{o.Volume, path}, views: map[*View]struct{}{}}
	mb.keywords.files, mb.stamps.files, mb.uids.files, mb.records.files = &mb.files, &mb.files, &mb.files, &mb.files
	mb.records.memory = o.Memory
	mb.epochs.points = &o.Volume.Points
	mb.mu.Key, mb.flock.Key = path, path+"\x00" // behind its own mailbox, before the next
	return mb
}

// Path is its folder.
func (mb *Box) Path() string { return mb.path }

// Dir is its folder below the account's home, "" for INBOX.
func (mb *Box) Dir() string { return mb.dir }

// Put gives back one use of it.
func (mb *Box) Put() { mb.o.Put() }

// View makes a view of the mailbox for one session, with a use of it that Close gives
// back; with an error the use stays the caller's. A read-write view takes the messages
// that are recent; a read-only one leaves them recent. name is what Info tells.
func (mb *Box) View(ctx context.Context, name string, readOnly bool) (*View, error) {
	v := &View{mb: mb, name: name, readOnly: readOnly, changed: make(chan struct{}, 1), recent: recents{readOnly: readOnly}}
	if err := mb.Refresh(ctx); err != nil {
		return nil, err
	}
	if err := v.show(ctx); err != nil {
		return nil, err
	}
	return v, nil
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

// commit appends the batch and tells the views, except the one that did it.
func (mb *Box) commit(by *View) error { return mb.commitWith(mb.log.Append, by) }

// commitNew is commit for mail that comes, which gets no room that is kept for
// deletions.
func (mb *Box) commitNew() error { return mb.commitWith(mb.log.AppendNew, nil) }

func (mb *Box) commitWith(write func(*index.State, *index.Batch) error, by *View) error {
	if mb.batch.Empty() {
		return nil
	}
	err := write(mb.st, mb.batch)
	mb.batch.Reset()
	if err != nil {
		return volume.Err(err)
	}
	mb.tells = true
	mb.touched(by)
	return nil
}

// unlock gives the lock among processes back, and has the others told of what was done
// under it.
func (mb *Box) unlock() error {
	err := mb.log.Unlock()
	if mb.tells {
		mb.tells = false
		mb.o.Changed()
	}
	return err
}

// giveBatch drops what an operation that failed left.
func (mb *Box) giveBatch() {
	mb.o.Memory.putBatch(mb.batch)
	mb.batch = nil
}

// touched marks a change and wakes the views.
func (mb *Box) touched(by *View) {
	mb.epochs.changed()
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
	mb.batch = mb.o.Memory.batch()
	defer mb.giveBatch()
	mb.flock.Enter()
	defer mb.flock.Leave()
	if err := mb.log.Lock(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mb.unlock()) }()
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
	gone, keys, next := len(mb.st.Expunged), len(mb.st.Keywords), mb.st.UIDNext
	changed, reload, err := mb.log.CatchUp(ctx, mb.st)
	switch {
	case err != nil:
		return err
	case reload:
		err := mb.load(ctx)
		mb.acct.Quota.Changed(true) // whatever it was
		return err
	}
	if changed {
		// Whatever it was: views compare in full.
		mb.setGen++
		mb.flagsGen++
		mb.touched(nil)
		if mb.st.UIDNext > next {
			mb.epochs.came(next)
		}
		if len(mb.st.Keywords) != keys {
			clear(mb.keywords.sets)
		}
		mb.acct.Quota.Changed(gone != len(mb.st.Expunged) || next != mb.st.UIDNext)
	}
	return nil
}

// AddTo adds the mailbox's messages to sum.
func (mb *Box) AddTo(sum *account.Usage) {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	n := mb.st.Counters()
	sum.Bytes += n.Size
	sum.Messages += int64(n.Messages)
}

const (
	// reserveUIDs and reserveModSeqs are how many are promised at once: one
	// fdatasync for so many deliveries while somebody looks; a crash skips
	// at most so many.
	reserveUIDs    = 1000
	reserveModSeqs = 1 << 20
)

// uidsLeft is the error when not so many UIDs are left. A message without one could never
// be seen, so nothing is answered for. Not taken: a new UIDVALIDITY by itself. All clients
// would fetch everything again, and what says that the UIDs are used up is more likely
// a dovecot-uidlist that is damaged than four thousand million messages.
func (mb *Box) uidsLeft(n int) error {
	if uint64(mb.st.UIDNext)+uint64(n) <= index.MaxUID+1 {
		return nil
	}
	return mb.noUIDs()
}

func (mb *Box) noUIDs() error {
	return fmt.Errorf("%w: %s has given all UIDs that there are; without its dovecot-uidlist, toastmaster.index and toastmaster.index.log it begins anew", volume.ErrLimit, mb.path)
}

// mustReserve says that a UID or mod-sequence in use is covered neither by a
// reservation nor by a checkpoint.
func (mb *Box) mustReserve() bool {
	st := mb.st
	if st.UIDNext <= max(st.ReservedUID, 1) && st.ModSeq < st.ReservedModSeq {
		return false
	}
	return !mb.epochs.settled() && len(st.Messages)+len(st.Expunged) > 0
}

// reserve makes a reservation durable if one is needed, and commits the batch
// in any case. The locks are held.
func (mb *Box) reserve(ctx context.Context) error {
	need := mb.mustReserve()
	if need {
		mb.batch.Reserve(mb.st.UIDNext+min(reserveUIDs, index.MaxUID+1-mb.st.UIDNext), mb.st.ModSeq+reserveModSeqs)
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
	err := mb.log.Append(mb.st, mb.batch)
	mb.batch.Reset()
	mb.epochs.changed()
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
	st, n := mb.st, mb.st.Counters()
	return Status{
		UIDValidity: st.UIDValidity, UIDNext: st.UIDNext, HighestModSeq: st.ModSeq,
		Messages: uint32(n.Messages), Unseen: uint32(n.Unseen), Recent: uint32(n.Recent), Deleted: uint32(n.Deleted), Size: n.Wire,
	}, nil
}
