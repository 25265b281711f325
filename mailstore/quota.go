package mailstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"toastmaster/mailstore/maildir"
)

// Usage is what an account occupies, all folders together.
type Usage struct{ Bytes, Messages int64 }

const dirSizeFile = "maildirsize"

// recount is how old maildirsize must be to be counted anew when it says that
// the account is over quota (Maildir++ specification: 15 minutes).
const recount = 15 * time.Minute

// usage is an account's, in memory. It is known after the first question and
// kept by each change from then on. With a quota it is in maildirsize too,
// where other processes and Dovecot keep theirs.
type usage struct {
	mu     sync.Mutex
	limits Usage
	known  bool
	now    Usage
	// owed is what was not yet added to maildirsize.
	owed Usage
	// size and mtime are the file's as read, at is when it was counted.
	size, mtime int64
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
	home, err := s.home(acc)
	if err != nil {
		return Usage{}, err
	}
	if there, err := exists(s.fs, home); err != nil || !there {
		return Usage{}, storeError(err)
	}
	a, err := s.acquire(acc)
	if err != nil {
		return Usage{}, err
	}
	defer s.releaseAccount(a)
	return a.used(ctx)
}

// checkQuota says ErrOverQuota when so much more would exceed a limit.
func (a *account) checkQuota(ctx context.Context, size, count int64) error {
	a.usage.mu.Lock()
	limits := a.usage.limits
	a.usage.mu.Unlock()
	if limits == (Usage{}) {
		return nil
	}
	used, err := a.used(ctx)
	if err != nil {
		return err
	}
	over := func(u Usage) bool {
		return limits.Bytes > 0 && u.Bytes+size > limits.Bytes || limits.Messages > 0 && u.Messages+count > limits.Messages
	}
	if !over(used) {
		return nil
	}
	if a.old() {
		if used, err = a.countUsage(ctx); err != nil {
			return err
		}
		if !over(used) {
			return nil
		}
	}
	return ErrOverQuota
}

// old says that maildirsize was not counted lately.
func (a *account) old() bool {
	a.usage.mu.Lock()
	defer a.usage.mu.Unlock()
	return a.usage.mtime > 0 && a.store.clock.Now().Sub(time.Unix(0, a.usage.mtime)) > recount
}

func (a *account) used(ctx context.Context) (Usage, error) {
	if used, ok := a.knownUsage(); ok {
		return used, nil
	}
	return a.countUsage(ctx)
}

// knownUsage is the usage in memory, brought up to date from maildirsize if
// another program changed it.
func (a *account) knownUsage() (Usage, bool) {
	u := &a.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.limits == (Usage{}) {
		return u.now, u.known
	}
	name := filepath.Join(a.home, dirSizeFile)
	info, err := a.store.fs.Stat(name)
	if err != nil {
		return Usage{}, false
	}
	if u.known && info.Size() == u.size && info.ModTime().UnixNano() == u.mtime {
		return u.now, true
	}
	data, err := readFile(a.store.fs, name)
	if err != nil || len(data) > maildir.MaxDirSize {
		return Usage{}, false
	}
	d, ok := maildir.ParseDirSize(data)
	if !ok || d.QuotaBytes != u.limits.Bytes || d.QuotaMessages != u.limits.Messages {
		return Usage{}, false
	}
	u.known, u.now = true, Usage{d.Bytes + u.owed.Bytes, d.Messages + u.owed.Messages}
	u.size, u.mtime = int64(len(data)), info.ModTime().UnixNano()
	return u.now, true
}

// countUsage adds up the indexes of all folders and writes maildirsize.
func (a *account) countUsage(ctx context.Context) (Usage, error) {
	names, err := a.names()
	if err != nil {
		return Usage{}, storeError(err)
	}
	var sum Usage
	for _, name := range names {
		mb, err := a.open(ctx, name)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrInvalidName) {
			continue
		}
		if odd(err) {
			a.store.sayOnce(filepath.Join(a.home, name), "a folder that cannot be opened is not counted", err)
			continue
		}
		if err != nil {
			return Usage{}, err
		}
		mb.addTo(&sum)
		a.store.release(mb)
	}
	if a.gone.Load() {
		return Usage{}, ErrNotFound
	}
	u := &a.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	u.known, u.now, u.owed = true, sum, Usage{}
	if u.limits == (Usage{}) {
		return sum, nil
	}
	d := maildir.DirSize{QuotaBytes: u.limits.Bytes, QuotaMessages: u.limits.Messages, Bytes: sum.Bytes, Messages: sum.Messages}
	if err := a.writeFile(dirSizeFile, d.Append(nil)); err != nil {
		return Usage{}, storeError(err)
	}
	a.seenDirSize()
	return sum, nil
}

// seenDirSize notes the file's state as known; u.mu is held.
func (a *account) seenDirSize() {
	if info, err := a.store.fs.Stat(filepath.Join(a.home, dirSizeFile)); err == nil {
		a.usage.size, a.usage.mtime = info.Size(), info.ModTime().UnixNano()
	}
}

// addUsage counts a change.
func (a *account) addUsage(size, count int64) {
	u := &a.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now.Bytes, u.now.Messages = u.now.Bytes+size, u.now.Messages+count
	if u.limits != (Usage{}) {
		u.owed.Bytes, u.owed.Messages = u.owed.Bytes+size, u.owed.Messages+count
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

// flushUsage appends what is owed to maildirsize, if there is one.
func (a *account) flushUsage() {
	u := &a.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if a.gone.Load() { // the file there is another account's
		u.owed = Usage{}
	}
	if u.owed == (Usage{}) {
		return
	}
	f, err := a.store.fs.OpenFile(filepath.Join(a.home, dirSizeFile), os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		u.owed = Usage{}
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
