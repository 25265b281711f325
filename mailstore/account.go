package mailstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/mailstore/index"
)

// Account says whose mail it is. It comes from the directory.
type Account struct {
	Address addr.Address
	// Home is the folder below the store's root that holds the Maildir.
	Home string
	// QuotaBytes and QuotaMessages are limits, zero is unlimited.
	QuotaBytes    int64
	QuotaMessages int64
	// Asked is when the directory was asked for it, at the latest. An account
	// that was removed since is not made again by mail that was on its way.
	// Zero: it is made at need.
	Asked time.Time
}

// AskedAt is the account as the directory had it at a time.
func (a Account) AskedAt(t time.Time) Account {
	a.Asked = t
	return a
}

// AccountOf is the account of a mailbox of the directory.
func AccountOf(m directory.Mailbox) Account {
	return Account{Address: m.Address, Home: m.Home, QuotaBytes: m.QuotaBytes, QuotaMessages: m.QuotaMessages}
}

// account is an account in use: by users, mailboxes in memory, or a delivery.
type account struct {
	store *Store
	home  string
	refs  int // under store.mu

	// mu guards the folders' existence and the small files in home.
	mu    sync.Mutex
	ready bool
	// gone: all mail was removed. Whoever holds the account finds nothing; who
	// comes later gets another account in the same place.
	gone atomic.Bool
	// journaling orders the records of the journal. Who journals a message
	// holds it shared; who journals that a folder leaves holds it alone until
	// it has left. It is taken after mailbox.mu.
	journaling sync.RWMutex
	// validity guards dovecot-uidvalidity; it is taken last of all.
	validity sync.Mutex
	usage    usage
	// copied and moved are the epochs of the last copy and the last move.
	copied, moved atomic.Uint64
	// trail has its own lock.
	trail trail
}

// noteCopy remembers that a copy is made.
func (a *account) noteCopy() { a.copied.Store(a.store.points.note()) }

// copiedLately says that there is a copy that no checkpoint covers. Its name
// must be on disk before the original loses its own: from that the journal would
// make it again.
func (a *account) copiedLately() bool {
	return a.copied.Load() > a.store.points.durable.Load()
}

// lock takes mu for a change or a listing of the folders; ErrNotFound, without
// the lock, when the account is gone.
func (a *account) lock() error {
	a.mu.Lock()
	if a.gone.Load() {
		a.mu.Unlock()
		return ErrNotFound
	}
	return nil
}

// ensure makes the Maildir; the default folders of a new account wait until
// somebody needs them.
func (a *account) ensure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.gone.Load():
		return ErrNotFound // removed between acquire and here
	case a.ready:
		return nil
	}
	if err := a.store.realHome(a.home); err != nil {
		return err
	}
	there, err := a.store.isMaildir(a.home)
	if err != nil {
		return err
	}
	if there {
		err = a.store.complete(a.home)
	} else {
		err = a.makeHome()
	}
	a.ready = err == nil
	return err
}

// isMaildir says whether path is a Maildir: it has cur, which is made last, or
// else what only one that was complete has. Somebody may have removed cur.
func (s *Store) isMaildir(path string) (bool, error) {
	for _, name := range []string{"cur", index.LogFile, "maildirfolder"} {
		if there, err := exists(s.fs, filepath.Join(path, name)); there || err != nil {
			return there, err
		}
	}
	return false, nil
}

// complete makes the folders of a Maildir that are missing: after a crash, or
// because somebody removed them. It does not make the Maildir itself, which
// may be on its way out.
func (s *Store) complete(path string) error {
	for _, d := range []string{"tmp", "new", "cur"} {
		d = filepath.Join(path, d)
		there, err := exists(s.fs, d)
		if err == nil && !there {
			err = s.fs.Mkdir(d, 0o700)
			s.points.note()
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// mend completes a mailbox's Maildir after cause, an error of one of its
// folders. nil means that cause may be gone, and the call worth a second try.
func (s *Store) mend(path string, cause error) error {
	if !errors.Is(cause, fs.ErrNotExist) {
		return cause
	}
	if there, err := s.isMaildir(path); err != nil || !there {
		return errors.Join(cause, err)
	}
	if err := s.complete(path); err != nil {
		return errors.Join(cause, err)
	}
	s.log.Warn("folders of a Maildir were missing and are made again", "path", path)
	return nil
}

// makeRoot makes home itself, and the folders above it.
func (a *account) makeRoot() error {
	a.store.parents.Lock()
	defer a.store.parents.Unlock()
	if err := a.store.present(); err != nil {
		return err
	}
	return a.store.fs.MkdirAll(a.home, 0o700)
}

// makeHome makes cur last: it is what says that the Maildir is complete.
func (a *account) makeHome() error {
	if err := a.makeRoot(); err != nil {
		return err
	}
	for _, d := range []string{"tmp", "new"} {
		if err := a.store.fs.MkdirAll(filepath.Join(a.home, d), 0o700); err != nil {
			return err
		}
	}
	if names := a.store.configured(); len(names) > 0 {
		if err := a.writeDefaults(names); err != nil {
			return err
		}
	}
	if err := a.store.fs.MkdirAll(filepath.Join(a.home, "cur"), 0o700); err != nil {
		return err
	}
	a.store.points.note()
	return nil
}

// makeFolder makes the Maildir of a mailbox; an existing one is completed.
func (a *account) makeFolder(dir string) error {
	if err := a.store.present(); err != nil {
		return err
	}
	path := filepath.Join(a.home, dir)
	for _, d := range []string{"tmp", "new", "cur"} {
		if err := a.store.fs.MkdirAll(filepath.Join(path, d), 0o700); err != nil {
			return err
		}
	}
	f, err := a.store.fs.OpenFile(filepath.Join(path, "maildirfolder"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	a.store.points.note()
	return nil
}

// makeFolderSynced is makeFolder for a mailbox that is answered for: what comes into
// it at once may be durable before the next checkpoint.
func (a *account) makeFolderSynced(dir string) error {
	if err := a.makeFolder(dir); err != nil {
		return err
	}
	fs := a.store.fs
	return errors.Join(fs.SyncDir(filepath.Join(a.home, dir)), fs.SyncDir(a.home))
}

// open finds the mailbox in memory or loads it; release it. A default folder is
// made if it is not there. ErrNotFound when its folder does not exist,
// ErrInvalidName when it never can. No lock is held.
func (a *account) open(ctx context.Context, name string) (*mailbox, error) {
	dir, err := a.folderDir(name)
	if err != nil {
		return nil, err
	}
	mb, err := a.openDir(ctx, dir)
	if dir == "" || !errors.Is(err, ErrNotFound) {
		return mb, err
	}
	there, failed := a.makePending(dir)
	if failed != nil || !there {
		return nil, cmp.Or(storeError(failed), err)
	}
	return a.openDir(ctx, dir)
}

// openAtLast is open with what is kept for a full disk: an index that was never
// made takes room, and so does one that is lost.
func (a *account) openAtLast(ctx context.Context, name string) (mb *mailbox, err error) {
	err = a.store.withSpare(func() (err error) {
		mb, err = a.open(ctx, name)
		return err
	})
	return mb, err
}

func (a *account) openDir(ctx context.Context, dir string) (*mailbox, error) {
	s := a.store
	path := filepath.Join(a.home, dir)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	if a.gone.Load() { // set under s.mu
		s.mu.Unlock()
		return nil, ErrNotFound
	}
	mb := s.boxes[path]
	if mb == nil {
		mb = newMailbox(a, dir, path)
		s.boxes[path] = mb
		a.refs++
	}
	mb.refs++
	s.unidle(mb)
	s.mu.Unlock()
	if err := mb.ensureLoaded(ctx); err != nil {
		s.release(mb)
		if lost := s.present(); lost != nil {
			return nil, storeError(lost) // with all of its mailboxes
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return nil, storeError(err)
	}
	return mb, nil
}
