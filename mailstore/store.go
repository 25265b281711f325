package mailstore

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/identity"
	"toastmaster/internal/lockorder"
	"toastmaster/internal/msglog"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/box"
	"toastmaster/mailstore/notify"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

// Options are what a store is made of.
type Options struct {
	// Root is the folder below which all accounts have their homes.
	Root  string
	FS    vfs.FS
	Clock clock.Clock
	Log   *msglog.Log
	// Hostname goes into the names of message files.
	Hostname string
	Store    configs.Store
	// Instance is the id that the store must have. Without one, in tests, a
	// store is made where there is none.
	Instance identity.ID
	// Namespaces are what sessions see besides the principal's own mail.
	Namespaces []Namespace
}

// Store is the message store of one instance. Safe for concurrent use.
type Store struct {
	vol     *volume.Volume
	journal *recovery.Journal
	space   *spool.Space
	memory  *box.Memory
	// pokes are to and from other processes; nil where there are none.
	pokes *notify.Poker
	// namespaces are Options', those with the longest prefix first.
	namespaces []Namespace

	mu       lockorder.Mutex[volume.PoolLock]
	closed   bool
	accounts map[string]*heldAccount // by home
	removed  removals
	boxes    map[string]*heldBox // by folder
	// idle has the mailboxes nobody uses, the most recent in front.
	idle      list.List
	idleBytes int64

	// lazy has the mailboxes with something to be written later. Its lock is
	// taken last.
	lazyMu lockorder.Mutex[volume.InnerLock]
	lazy   map[*heldBox]struct{}
}

// Private is the folder below the root that is no account's.
const Private = volume.Private

// Open opens the store of o.Instance and finishes what a crash left undone. A
// folder of somebody else's is not opened (Check), nor is one that is another
// instance's, or missing (ErrAbsent). The owner runs Run, and calls Close
// after it returned.
func Open(ctx context.Context, o Options) (*Store, error) {
	vol := volume.New(volume.Options{
		Root: o.Root, FS: o.FS, Clock: o.Clock, Log: o.Log, Hostname: o.Hostname, Config: o.Store, Instance: o.Instance,
	})
	s := &Store{
		vol:      vol,
		journal:  recovery.New(vol),
		memory:   box.NewMemory(vol),
		accounts: map[string]*heldAccount{},
		boxes:    map[string]*heldBox{},
		lazy:     map[*heldBox]struct{}{},
		removed:  newRemovals(o.Clock),
	}
	var err error
	if s.namespaces, err = checkNamespaces(o.Namespaces, vol.Separator); err != nil {
		return nil, err
	}
	s.space = &spool.Space{
		FS: o.FS, Dir: o.Root, Clock: o.Clock, MinFree: o.Store.MinFree, Param: "store.min_free", Present: s.vol.Present,
		Failed: func(err error) { o.Log.Warn("free space of the mail store cannot be measured", "cause", err) },
	}
	if err := s.found(); err != nil {
		return nil, volume.Err(err)
	}
	if err := vol.Open(ctx); err != nil {
		return nil, volume.Err(err)
	}
	s.pokes = openPokes(vol)
	if err := s.journal.Recover(ctx, hands{s}); err != nil {
		return nil, volume.Err(errors.Join(err, s.pokes.Close(), vol.Close()))
	}
	return s, nil
}

// openPokes lets this process and others wake each other. Without, changes by others are
// seen at the next look.
func openPokes(vol *volume.Volume) *notify.Poker {
	onDisk, group := vfs.OnDisk(vol.FS)
	if !onDisk {
		return nil // sockets are in the real file system only
	}
	p, err := notify.Open(notify.Options{
		Group: group, Dir: filepath.Join(vol.Root, Private), Slot: vol.Own().Slot, Log: vol.Log,
		Others: func() (slots []int, err error) {
			others, err := vol.Others()
			for _, o := range others {
				slots = append(slots, o.Slot)
			}
			return slots, err
		},
	})
	if err != nil {
		vol.Log.Warn("changes by other processes on the mail store are seen within store.sync_interval only", "cause", err)
		return nil
	}
	return p
}

// found sees to it that the root is what it should be.
func (s *Store) found() error {
	if s.vol.Instance == "" {
		if err := Check(s.vol.FS, s.vol.Root); err != nil {
			return err
		}
		return s.makeSpool()
	}
	if err := mustBe(s.vol.FS, s.vol.Root, s.vol.Instance); err != nil {
		return err
	}
	there, err := volume.Exists(s.vol.FS, s.vol.Spool.Path)
	if there || err != nil {
		return err
	}
	// It holds nothing between two lives of the process.
	s.vol.Log.Warn("folder of the mail store was missing and is made again", "path", s.vol.Spool.Path)
	return s.makeSpool()
}

func (s *Store) makeSpool() error { return s.vol.FS.MkdirAll(s.vol.Spool.Path, 0o700) }

// Room says whether a message of size octets, 0 for not known, may come in from
// somebody who can keep it: 4.3.1 when it would leave less than store.min_free,
// 4.3.0 when the store is not in its place. What the queue has accepted is
// delivered without it.
func (s *Store) Room(size int64) error {
	err := s.space.Room(size)
	if errors.Is(err, ErrAbsent) {
		return DSN(err)
	}
	return err
}

// roomFor is Room for what a user stores: ErrLittleRoom or ErrAbsent.
func (s *Store) roomFor(size int64) error {
	err := s.space.Room(size)
	if err == nil || errors.Is(err, ErrAbsent) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrLittleRoom, err)
}

// Spool is where contents for Deliver and Append should be received. A large one
// is linked into the Maildir instead of copied, once and if the delivery has no
// Prefix: who has one mailbox to deliver to writes it before the content.
func (s *Store) Spool() *spool.Dir { return &s.vol.Spool }

// Checkpoint makes durable whatever was delivered before the call, see
// [volume.Volume.Checkpoint]. Once it failed to sync it returns ErrNotDurable
// until the store is opened anew.
func (s *Store) Checkpoint(ctx context.Context) error { return s.vol.Checkpoint(ctx) }

// Close writes what is written lazily and makes everything durable, within
// store.close_timeout in all; what is not done then the next Open does. Only a
// system call that hangs in the kernel, as a sync on a disk that is gone, is
// waited for: the process could not end before it. Users and views must be
// closed before.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	var all []*heldBox
	for _, mb := range s.boxes {
		all = append(all, mb)
	}
	clear(s.boxes)
	s.idle.Init()
	s.idleBytes = 0
	s.mu.Unlock()
	ctx, cancel := s.vol.Last()
	defer cancel()
	var errs []error
	for _, mb := range all {
		errs = append(errs, mb.Shut(ctx))
		s.putAccount(mb.acct)
	}
	for _, a := range s.allAccounts() { // what their quotas owe
		s.putAccount(a)
	}
	s.memory.Clear()
	errs = append(errs, s.journal.Close(ctx), s.Checkpoint(ctx), s.pokes.Close(), s.vol.Close())
	return volume.Err(errors.Join(errs...))
}
