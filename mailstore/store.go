package mailstore

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/identity"
	"toastmaster/internal/journal"
	"toastmaster/internal/msglog"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/maildir"
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
}

// Store is the message store of one instance. Safe for concurrent use.
type Store struct {
	root   string
	id     identity.ID
	fs     vfs.FS
	clock  clock.Clock
	log    *msglog.Log
	cfg    configs.Store
	sep    rune
	host   string
	spool  spool.Dir
	tag    string // in file names: process and random number
	names  atomic.Uint64
	points checkpoints
	// rootFile is the root, open as long as the store: see checkpoint.go.
	rootFile vfs.File
	journal  *journal.Journal
	space    *spool.Space
	// unfinished has its own lock.
	unfinished unfinished
	spare      spareRoom
	// marks are those of journal.
	marks *doneMarks
	// promised is what clients were told of messages, by path and base name,
	// during recovery only.
	promised map[string]map[string]promise
	// windows are *window of views, see View.Structure.
	windows sync.Pool
	// unpacking has a place for each compressed message that is unpacked.
	unpacking chan struct{}
	// kept has its own lock.
	kept unpackedCache

	// odd is what was passed over and is in the log.
	odd said

	// scratches are *scratch of deliveries.
	scratches sync.Pool

	// parents is held by who makes or removes folders above homes.
	parents sync.Mutex

	mu       sync.Mutex
	closed   bool
	accounts map[string]*account // by home
	removed  removals
	boxes    map[string]*mailbox // by folder
	// idle has the mailboxes nobody uses, the most recent in front.
	idle      list.List
	idleBytes int64

	// lazy has the mailboxes with something to be written later. Its lock is
	// taken last.
	lazyMu sync.Mutex
	lazy   map[*mailbox]struct{}
}

// Private is the folder below the root that is no account's.
const Private = ".toastmaster"

// Open opens the store of o.Instance and finishes what a crash left undone. A
// folder of somebody else's is not opened (Check), nor is one that is another
// instance's, or missing (ErrAbsent). The owner runs Run, and calls Close
// after it returned.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{
		root: o.Root, id: o.Instance, fs: o.FS, clock: o.Clock, log: o.Log, cfg: o.Store,
		host:     maildir.Host(o.Hostname),
		accounts: map[string]*account{},
		boxes:    map[string]*mailbox{},
		lazy:     map[*mailbox]struct{}{},
	}
	s.sep = '/'
	if o.Store.Separator == "." {
		s.sep = '.'
	}
	s.tag = fmt.Sprintf("P%dR%xQ", os.Getpid(), rand.Uint32())
	s.points.epoch.Store(1)
	s.unpacking = make(chan struct{}, o.Store.UnpackConcurrency)
	s.kept.limit = o.Store.UnpackedCache
	s.points.broken = make(chan struct{})
	s.spool = spool.Dir{FS: o.FS, Path: filepath.Join(o.Root, Private, "spool"), Memory: int(o.Store.SpoolMemory)}
	s.space = &spool.Space{
		FS: o.FS, Dir: o.Root, Clock: o.Clock, MinFree: o.Store.MinFree, Param: "store.min_free", Present: s.present,
		Failed: func(err error) { o.Log.Warn("free space of the mail store cannot be measured", "cause", err) },
	}
	if err := s.found(); err != nil {
		return nil, storeError(err)
	}
	var err error
	if s.rootFile, err = o.FS.OpenFile(o.Root, os.O_RDONLY, 0); err != nil {
		return nil, storeError(err)
	}
	s.fillSpare(true)
	if err := s.openJournals(ctx); err != nil {
		return nil, storeError(errors.Join(err, s.rootFile.Close()))
	}
	return s, nil
}

// found sees to it that the root is what it should be.
func (s *Store) found() error {
	if s.id == "" {
		if err := Check(s.fs, s.root); err != nil {
			return err
		}
		return s.makeSpool()
	}
	if err := mustBe(s.fs, s.root, s.id); err != nil {
		return err
	}
	there, err := exists(s.fs, s.spool.Path)
	if there || err != nil {
		return err
	}
	// It holds nothing between two lives of the process.
	s.log.Warn("folder of the mail store was missing and is made again", "path", s.spool.Path)
	return s.makeSpool()
}

func (s *Store) makeSpool() error { return s.fs.MkdirAll(s.spool.Path, 0o700) }

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
func (s *Store) Spool() *spool.Dir { return &s.spool }

// Close writes what is written lazily and makes everything durable, within
// store.close_timeout in all; what is not done then the next Open does. Only a
// system call that hangs in the kernel, as a sync on a disk that is gone, is
// waited for: the process could not end before it. Users and views must be
// closed before.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	var all []*mailbox
	for _, mb := range s.boxes {
		all = append(all, mb)
	}
	clear(s.boxes)
	s.idle.Init()
	s.idleBytes = 0
	s.mu.Unlock()
	ctx, cancel := s.last()
	defer cancel()
	var errs []error
	for _, mb := range all {
		errs = append(errs, mb.shut(ctx))
		s.releaseAccount(mb.acct)
	}
	s.kept.clear()
	errs = append(errs, s.journal.Close(ctx), s.Checkpoint(ctx), s.rootFile.Close())
	return storeError(errors.Join(errs...))
}

// last is the context of last work. It is nobody's request: the session that
// let a mailbox go, and the one that pushed it out of memory, may be over, and
// cancelling theirs must not leave the work undone.
func (s *Store) last() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.cfg.CloseTimeout)
}

// uniqueName makes the unique part of a file name: time, process, a random
// number, counter (cr.yp.to/proto/maildir.html). Process ids repeat, in
// containers often, hence the number.
func (s *Store) uniqueName() (seconds int64, unique string) {
	now := s.clock.Now()
	return now.Unix(), "M" + strconv.Itoa(now.Nanosecond()/1000) + s.tag + strconv.FormatUint(s.names.Add(1), 10)
}

// isUnique says that a unique part may be one of uniqueName's, of any process.
func isUnique(part string) bool {
	micros, rest, process := strings.Cut(part, "P")
	_, rest, random := strings.Cut(rest, "R")
	_, _, counter := strings.Cut(rest, "Q")
	return strings.HasPrefix(micros, "M") && process && random && counter
}

// home checks an account's folder.
func (s *Store) home(a Account) (string, error) {
	first, _, _ := strings.Cut(filepath.ToSlash(a.Home), "/")
	if !filepath.IsLocal(a.Home) || filepath.Clean(a.Home) == "." || first == Private {
		return "", fmt.Errorf("mailstore: home %q is not a folder below the root", a.Home)
	}
	return filepath.Join(s.root, a.Home), nil
}

// acquire finds or makes the account and holds it until release.
func (s *Store) acquire(a Account) (*account, error) {
	home, err := s.home(a)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	if s.removed.since(home, a.Asked) {
		s.mu.Unlock()
		return nil, ErrNotFound
	}
	acct := s.accounts[home]
	if acct == nil {
		acct = &account{store: s, home: home}
		s.accounts[home] = acct
	}
	acct.refs++
	s.mu.Unlock()
	acct.setLimits(a)
	if err := acct.ensure(); err != nil {
		s.releaseAccount(acct)
		return nil, storeError(err)
	}
	return acct, nil
}

func (s *Store) releaseAccount(acct *account) {
	s.mu.Lock()
	acct.refs--
	gone := acct.refs == 0
	if gone && s.accounts[acct.home] == acct {
		delete(s.accounts, acct.home)
	}
	s.mu.Unlock()
	if gone {
		acct.flushUsage()
	}
}

// storeError puts an error of the file system into the closed set.
func storeError(err error) error {
	switch {
	case err == nil:
		return nil
	case spool.IsFull(err) && !errors.Is(err, ErrFull):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, vfs.ErrLocked) && !errors.Is(err, ErrBusy):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}

func exists(fsys vfs.FS, name string) (bool, error) {
	_, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return false, nil
	}
	return err == nil, err
}
