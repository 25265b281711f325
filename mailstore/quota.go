package mailstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"toastmaster/mailstore/maildir"
)

// Usage is what an account occupies, all folders together.
type Usage struct{ Bytes, Messages int64 }

const dirSizeFile = "maildirsize"

// recount is how old maildirsize must be to be counted anew when it says that the
// account is over quota (Maildir++ specification: 15 minutes). It is no parameter:
// it only finds what others changed by hand, sooner or later; what this process does
// counts at once.
const recount = 15 * time.Minute

// usage is an account's, in memory. It is known after the first question and
// kept by each change from then on. With a quota it is in maildirsize too,
// where other processes and Dovecot keep theirs.
type usage struct {
	mu     sync.Mutex
	limits Usage
	known  bool
	now    Usage
	// changes counts what was added, so that a count notices what it missed.
	changes uint64
	// owed is what could not be added to maildirsize.
	owed Usage
	// size and mtime are the file's as read, at is when it was counted.
	size, mtime int64
	// folders are those of the last count, nil before; looked is when the
	// folders were last asked for changes by others.
	folders []string
	looked  time.Time
	// reserved is the sum of all reservations; those with an ID are held too.
	reserved Usage
	held     map[string]*reservation
}

func (a *account) setLimits(acc Account) {
	a.usage.mu.Lock()
	defer a.usage.mu.Unlock()
	limits := Usage{acc.QuotaBytes, acc.QuotaMessages}
	if limits != a.usage.limits {
		a.usage.limits = limits
	}
}

// Usage reports it. An account that never received anything is empty, not an
// error.
func (s *Store) Usage(ctx context.Context, acc Account) (Usage, error) {
	a, err := s.acquireExisting(acc)
	if a == nil {
		return Usage{}, err
	}
	defer s.releaseAccount(a)
	if err := a.look(ctx); err != nil {
		return Usage{}, err
	}
	return a.used(ctx)
}

// acquireExisting is acquire for an account that has a Maildir; nil without an
// error when there is none.
func (s *Store) acquireExisting(acc Account) (*account, error) {
	home, err := s.home(acc)
	if err != nil {
		return nil, err
	}
	if there, err := s.accountAt(home); err != nil || !there {
		return nil, storeError(err)
	}
	return s.acquire(acc)
}

// old says that maildirsize was not counted lately.
func (a *account) old() bool {
	a.usage.mu.Lock()
	defer a.usage.mu.Unlock()
	age := a.store.clock.Now().Sub(time.Unix(0, a.usage.mtime))
	return a.usage.mtime > 0 && (age > recount || age < -recount)
}

// look asks every folder for changes by other programs, at most once in
// store.sync_interval: messages that somebody removed give their room back.
func (a *account) look(ctx context.Context) error {
	u := &a.usage
	u.mu.Lock()
	now := a.store.clock.Now()
	if age := now.Sub(u.looked); !u.looked.IsZero() && age >= 0 && age < a.store.cfg.SyncInterval {
		u.mu.Unlock()
		return nil
	}
	u.looked = now
	counted := u.folders
	u.mu.Unlock()
	names, err := a.names()
	if err != nil {
		return storeError(err)
	}
	if !slices.Equal(names, counted) || a.old() {
		// A folder came or went without us, or what maildirsize says was never
		// compared with what is there.
		_, err := a.countUsage(ctx)
		return err
	}
	return a.each(ctx, names, func(mb *mailbox) error { return mb.refresh(ctx) })
}

// each calls f for the mailboxes of the given names that are there.
func (a *account) each(ctx context.Context, names []string, f func(mb *mailbox) error) error {
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		mb, err := a.open(ctx, name)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrInvalidName) {
			continue
		}
		if odd(err) {
			a.store.sayOnce(filepath.Join(a.home, name), "a folder that cannot be opened is not counted", err)
			continue
		}
		if err != nil {
			return err
		}
		err = f(mb)
		a.store.release(mb)
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *account) used(ctx context.Context) (Usage, error) {
	u := &a.usage
	u.mu.Lock()
	known := a.readUsage()
	now := u.now
	u.mu.Unlock()
	if known {
		return now, nil
	}
	return a.countUsage(ctx)
}

// readUsage brings the usage in memory up to date from maildirsize if another
// program changed it. false: it must be counted. u.mu is held.
func (a *account) readUsage() bool {
	u := &a.usage
	if u.limits == (Usage{}) {
		return u.known
	}
	name := filepath.Join(a.home, dirSizeFile)
	info, err := a.store.fs.Stat(name)
	if err != nil {
		return false
	}
	if u.known && info.Size() == u.size && info.ModTime().UnixNano() == u.mtime {
		return true
	}
	data, err := readFile(a.store.fs, name)
	if err != nil || len(data) > maildir.MaxDirSize {
		return false
	}
	d, ok := maildir.ParseDirSize(data)
	if !ok || d.QuotaBytes != u.limits.Bytes || d.QuotaMessages != u.limits.Messages {
		return false
	}
	u.known, u.now = true, Usage{d.Bytes + u.owed.Bytes, d.Messages + u.owed.Messages}
	u.size, u.mtime = int64(len(data)), info.ModTime().UnixNano()
	return true
}

// countTries bounds how often a count begins anew because mail came meanwhile. It is
// no parameter: it is for a folder that changes while it is counted, and the next
// look counts again.
const countTries = 5

// countUsage adds up the indexes of all folders, after a look at what is in
// them, and writes maildirsize.
func (a *account) countUsage(ctx context.Context) (Usage, error) {
	u := &a.usage
	for try := 1; ; try++ {
		u.mu.Lock()
		before := u.changes
		u.mu.Unlock()
		names, err := a.names()
		if err != nil {
			return Usage{}, storeError(err)
		}
		var sum Usage
		err = a.each(ctx, names, func(mb *mailbox) error {
			err := mb.refresh(ctx)
			mb.addTo(&sum)
			return err
		})
		if err != nil {
			return Usage{}, err
		}
		if a.gone.Load() {
			return Usage{}, ErrNotFound
		}
		u.mu.Lock()
		if u.changes != before && try < countTries {
			u.mu.Unlock()
			continue
		}
		defer u.mu.Unlock()
		if u.changes != before {
			names = nil // the next look counts again
		}
		return sum, a.setUsage(sum, names)
	}
}

// setUsage notes the result of a count; u.mu is held.
func (a *account) setUsage(sum Usage, folders []string) error {
	u := &a.usage
	u.known, u.now, u.owed, u.folders = true, sum, Usage{}, folders
	if u.limits == (Usage{}) {
		return nil
	}
	d := maildir.DirSize{QuotaBytes: u.limits.Bytes, QuotaMessages: u.limits.Messages, Bytes: sum.Bytes, Messages: sum.Messages}
	if err := a.passOver(dirSizeFile, a.writeFile(dirSizeFile, d.Append(nil))); err != nil {
		return storeError(err)
	}
	a.seenDirSize()
	return nil
}

// seenDirSize notes the file's state as known; u.mu is held.
func (a *account) seenDirSize() {
	if info, err := a.store.fs.Stat(filepath.Join(a.home, dirSizeFile)); err == nil {
		a.usage.size, a.usage.mtime = info.Size(), info.ModTime().UnixNano()
	}
}

// addUsage counts a change, for others to see at once: a process that is
// killed leaves maildirsize right.
func (a *account) addUsage(size, count int64) { a.redeem(nil, size, count) }

// redeem is addUsage for what r, which may be nil, was reserved for. There is no
// moment in which both count, or neither.
func (a *account) redeem(r *reservation, size, count int64) {
	u := &a.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	a.drop(r)
	u.changes++
	u.now.Bytes, u.now.Messages = u.now.Bytes+size, u.now.Messages+count
	if u.limits != (Usage{}) {
		u.owed.Bytes, u.owed.Messages = u.owed.Bytes+size, u.owed.Messages+count
		a.payUsage()
	}
}

// usageUnknown tells that another process changed the set of messages. With a
// quota maildirsize has it; without, the sum is made anew when asked for.
func (a *account) usageUnknown(changed bool) {
	if changed {
		a.forgetUsage()
	}
}

// addTo adds the mailbox's messages to sum.
func (mb *mailbox) addTo(sum *Usage) {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	for _, m := range mb.st.Messages {
		sum.Bytes += m.Size
	}
	sum.Messages += int64(len(mb.st.Messages))
}

func (a *account) forgetUsage() {
	a.usage.mu.Lock()
	a.usage.known = false
	a.usage.mu.Unlock()
}

// distrustUsage makes the next question count: after a crash nobody knows whether
// what a message takes was added to maildirsize.
func (a *account) distrustUsage() {
	u := &a.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	u.known, u.folders = false, nil
	if a.gone.Load() {
		return
	}
	if err := a.store.fs.Remove(filepath.Join(a.home, dirSizeFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.store.log.Warn("removing maildirsize", "path", a.home, "cause", err)
	}
}

// flushUsage appends what is owed to maildirsize.
func (a *account) flushUsage() {
	u := &a.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	a.payUsage()
}

// payUsage appends what is owed to maildirsize, if there is one; u.mu is held.
// What cannot be written stays owed.
func (a *account) payUsage() {
	u := &a.usage
	if a.gone.Load() { // the file there is another account's
		u.owed = Usage{}
	}
	if u.owed == (Usage{}) {
		return
	}
	f, err := a.store.fs.OpenFile(filepath.Join(a.home, dirSizeFile), os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		u.owed, u.known = Usage{}, false
		return
	}
	if err == nil {
		_, err = f.Write(maildir.AppendDirSizeLine(nil, u.owed.Bytes, u.owed.Messages))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		a.store.log.Warn("writing maildirsize", "path", a.home, "cause", err)
		return
	}
	u.owed = Usage{}
	before := u.size
	a.seenDirSize()
	if u.size != before {
		u.known = u.known && u.size-before < 64
	}
}
