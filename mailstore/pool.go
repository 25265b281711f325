package mailstore

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/ttl"
	"toastmaster/mailstore/account"
	"toastmaster/mailstore/box"
	"toastmaster/mailstore/notify"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

// What is in memory: accounts in use, and mailboxes in use or kept because there is
// room, all under Store.mu.

// heldAccount is an account in use: by users, mailboxes in memory, or a delivery.
// With it is what needs both the account and its mailboxes.
type heldAccount struct {
	*account.Account
	store   *Store
	vol     *volume.Volume
	records *recovery.AccountJournal
	home    string
	refs    int // under store.mu
}

// heldBox is a mailbox in memory: in use, or kept because there is room.
type heldBox struct {
	*box.Box
	acct *heldAccount
	// Under Store.mu.
	refs int
	slot *list.Element // in Store.idle
	cost int64
}

// holdBox makes a mailbox of a.
func (a *heldAccount) holdBox(dir string) *heldBox {
	s, mb := a.store, &heldBox{acct: a}
	mb.Box = box.New(box.Options{
		Volume: s.vol, Journal: s.journal, Account: a.Account, Memory: s.memory, Dir: dir,
		// Each is a pointer to mb or a, and nothing else: there may be very many.
		Open: a.openOther, OpenDir: a.openDir, Put: mb.putBack, Left: mb.left, Lazy: mb.lazy, Changed: mb.changed,
	})
	return mb
}

// What a mailbox has done for it, see box.Options.

func (mb *heldBox) putBack() { mb.acct.store.put(mb) }

func (mb *heldBox) left() { mb.acct.store.drop(mb) }

func (mb *heldBox) lazy(on bool) { mb.acct.store.noteLazy(mb, on) }

func (mb *heldBox) changed() {
	mb.acct.store.pokes.Poke(notify.Change{Home: mb.acct.records.Home(), Dir: mb.Dir()})
}

func (a *heldAccount) openOther(ctx context.Context, name string, last bool) (*box.Box, error) {
	if last {
		return a.openAtLast(ctx, name)
	}
	return a.open(ctx, name)
}

// makeAccount makes the account of a home in memory.
func (s *Store) makeAccount(home string, records *recovery.AccountJournal) *heldAccount {
	a := &heldAccount{store: s, vol: s.vol, records: records, home: home}
	a.Account = account.New(account.Options{Volume: s.vol, Records: records, Sum: a.sum, Retain: func(n int) {
		s.mu.Lock()
		a.refs += n
		s.mu.Unlock()
	}})
	return a
}

// home checks an account's folder.
func (s *Store) home(a Account) (string, error) {
	first, _, _ := strings.Cut(filepath.ToSlash(a.Home), "/")
	if !filepath.IsLocal(a.Home) || filepath.Clean(a.Home) == "." || first == Private {
		return "", fmt.Errorf("mailstore: home %q is not a folder below the root", a.Home)
	}
	return filepath.Join(s.vol.Root, a.Home), nil
}

// acquire finds or makes the account and holds it until putAccount.
func (s *Store) acquire(a Account) (*heldAccount, error) {
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
		acct = s.makeAccount(home, s.journal.Account(filepath.Clean(a.Home)))
		s.accounts[home] = acct
	}
	acct.refs++
	s.mu.Unlock()
	acct.Quota.Limit(Usage{Bytes: a.QuotaBytes, Messages: a.QuotaMessages})
	if err := s.ensure(acct, a.Asked); err != nil {
		s.putAccount(acct)
		return nil, volume.Err(err)
	}
	return acct, nil
}

// ensure makes the account if it is not there, unless another process has removed it since
// the directory was asked.
func (s *Store) ensure(acct *heldAccount, asked time.Time) error {
	if acct.Ready() {
		return nil
	}
	if !asked.IsZero() {
		removed, _, err := s.vol.Removed(acct.records.Home())
		if err != nil && !volume.Odd(err) {
			return err
		}
		if !removed.IsZero() && !asked.After(removed) {
			return ErrNotFound
		}
	}
	return acct.Ensure()
}

// acquireExisting is acquire for an account that has a Maildir; nil without an
// error when there is none.
func (s *Store) acquireExisting(acc Account) (*heldAccount, error) {
	home, err := s.home(acc)
	if err != nil {
		return nil, err
	}
	if there, err := s.accountAt(home); err != nil || !there {
		return nil, volume.Err(err)
	}
	return s.acquire(acc)
}

// putAccount gives up one use of the account. One that nobody uses leaves memory when other
// processes know all that it did; until then background tries again. There are not more
// of these than accounts, and each takes less than a mailbox in memory.
func (s *Store) putAccount(acct *heldAccount) {
	s.mu.Lock()
	acct.refs--
	unused := acct.refs == 0
	s.mu.Unlock()
	if !unused || !acct.Quota.Flush() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Somebody may use it again meanwhile, and puts it back.
	if acct.refs == 0 && s.accounts[acct.home] == acct {
		delete(s.accounts, acct.home)
	}
}

// removals are when accounts were removed, by home. Who asked the directory before that has
// an answer that is not true any more: a delivery that goes on would make the account again,
// for nobody.
type removals struct{ at *ttl.Map[string, time.Time] }

// maxRemovals bounds them; beyond it some are forgotten before their hour,
// which matters only to a delivery that was under way at that moment. It is no
// parameter: removing so many accounts takes longer than any delivery.
const maxRemovals = 100_000

func newRemovals(c clock.Clock) removals {
	return removals{ttl.NewMap[string, time.Time](maxRemovals, c)}
}

func (r removals) note(home string, now time.Time) {
	r.at.Put(home, now, now.Add(volume.RemovalMemory))
}

// since says that the account was removed after the directory was asked.
func (r removals) since(home string, asked time.Time) bool {
	at, ok := r.at.Get(home)
	return ok && !asked.IsZero() && !asked.After(at)
}

// open finds the mailbox in memory or loads it; put it back. A default folder is
// made if it is not there. ErrNotFound when its folder does not exist,
// ErrInvalidName when it never can. No lock is held.
func (a *heldAccount) open(ctx context.Context, name string) (*box.Box, error) {
	dir, err := a.FolderDir(name)
	if err != nil {
		return nil, err
	}
	mb, err := a.openDir(ctx, dir)
	if dir == "" || !errors.Is(err, ErrNotFound) {
		return mb, err
	}
	there, failed := a.MakePending(dir)
	if failed != nil || !there {
		return nil, cmp.Or(volume.Err(failed), err)
	}
	return a.openDir(ctx, dir)
}

// openAtLast is open with what is kept for a full disk: an index that was never
// made takes room, and so does one that is lost.
func (a *heldAccount) openAtLast(ctx context.Context, name string) (mb *box.Box, err error) {
	err = a.vol.WithReserve(func() (err error) {
		mb, err = a.open(ctx, name)
		return err
	})
	return mb, err
}

func (a *heldAccount) openDir(ctx context.Context, dir string) (*box.Box, error) {
	s := a.store
	path := filepath.Join(a.home, dir)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	if a.records.Removed() { // set under s.mu
		s.mu.Unlock()
		return nil, ErrNotFound
	}
	mb := s.boxes[path]
	if mb == nil {
		mb = a.holdBox(dir)
		s.boxes[path] = mb
		a.refs++
	}
	mb.refs++
	s.unidle(mb)
	s.mu.Unlock()
	if err := mb.Load(ctx); err != nil {
		s.put(mb)
		if lost := s.vol.Present(); lost != nil {
			return nil, volume.Err(lost) // with all of its mailboxes
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return nil, volume.Err(err)
	}
	return mb.Box, nil
}

// put gives up one use. A mailbox nobody uses stays in memory as long as
// there is room.
func (s *Store) put(mb *heldBox) {
	var out []*heldBox
	usable, cost := mb.Weigh()
	s.mu.Lock()
	mb.refs--
	if mb.refs == 0 && s.boxes[mb.Path()] == mb {
		if usable {
			mb.cost = cost
			mb.slot = s.idle.PushFront(mb)
			s.idleBytes += mb.cost
		} else {
			delete(s.boxes, mb.Path())
			out = append(out, mb)
		}
	} else if mb.refs == 0 {
		out = append(out, mb)
	}
	for s.idle.Len() > 0 && (s.idleBytes > s.vol.Config.IndexMemory || s.idle.Len() > s.vol.Config.OpenMailboxes) {
		last := s.idle.Back().Value.(*heldBox)
		s.unidle(last)
		delete(s.boxes, last.Path())
		out = append(out, last)
	}
	s.mu.Unlock()
	for _, old := range out {
		if err := old.ShutNow(); err != nil {
			s.vol.Log.Warn("closing a mailbox", "path", old.Path(), "cause", err)
		}
		s.putAccount(old.acct)
	}
}

// unidle takes mb off the idle list; s.mu is held.
func (s *Store) unidle(mb *heldBox) {
	if mb.slot == nil {
		return
	}
	s.idle.Remove(mb.slot)
	s.idleBytes -= mb.cost
	mb.slot = nil
}

// allAccounts takes a use of every account in memory.
func (s *Store) allAccounts() []*heldAccount {
	s.mu.Lock()
	defer s.mu.Unlock()
	accounts := make([]*heldAccount, 0, len(s.accounts))
	for _, a := range s.accounts {
		a.refs++
		accounts = append(accounts, a)
	}
	return accounts
}

// inUse takes a use of every mailbox that is in use.
func (s *Store) inUse() []*heldBox {
	s.mu.Lock()
	defer s.mu.Unlock()
	var boxes []*heldBox
	for _, mb := range s.boxes {
		if mb.refs > 0 && !s.closed {
			mb.refs++
			boxes = append(boxes, mb)
		}
	}
	return boxes
}

// lazyOnes takes a use of every mailbox with lazy work.
func (s *Store) lazyOnes() []*heldBox {
	s.lazyMu.Lock()
	boxes := slices.Collect(maps.Keys(s.lazy))
	s.lazyMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(boxes, func(mb *heldBox) bool {
		if s.boxes[mb.Path()] != mb || s.closed {
			return true // being shut
		}
		mb.refs++
		s.unidle(mb)
		return false
	})
}

// noteLazy puts mb on the list for Run, or takes it off.
func (s *Store) noteLazy(mb *heldBox, on bool) {
	s.lazyMu.Lock()
	defer s.lazyMu.Unlock()
	if on {
		s.lazy[mb] = struct{}{}
	} else {
		delete(s.lazy, mb)
	}
}

// drop lets nobody find mb any more: its folder is gone, or is another one's.
func (s *Store) drop(mb *heldBox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.boxes[mb.Path()] == mb {
		delete(s.boxes, mb.Path())
		s.unidle(mb)
	}
}
