package account

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"toastmaster/internal/lockorder"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

// Usage is what an account occupies, all folders together.
type Usage struct{ Bytes, Messages int64 }

const dirSizeFile = "maildirsize"

// recount is how old maildirsize must be to be counted anew when it says that the
// account is over quota (Maildir++ specification: 15 minutes). It is no parameter:
// it only finds what others changed by hand, sooner or later; what this process does
// counts at once.
const recount = 15 * time.Minute

// Quota is what an account uses, and may use, in memory. It is known after the first question and
// kept by each change from then on. With a quota it is in maildirsize too,
// where other processes and Dovecot keep theirs.
type Quota struct {
	acct *Account
	mu   lockorder.Mutex[volume.UsageLock]
	// disk keeps other processes away from maildirsize and the reservations.
	disk   *volume.AccountLock[volume.UsageDiskLock]
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
	held     map[string]*Reservation
}

// Limit sets the limits; zero is unlimited.
func (q *Quota) Limit(limits Usage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if limits != q.limits {
		q.limits = limits
	}
}

// old says that maildirsize was not counted lately.
func (q *Quota) old() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	age := q.acct.vol.Clock.Now().Sub(time.Unix(0, q.mtime))
	return q.mtime > 0 && (age > recount || age < -recount)
}

// Look asks every folder for changes by other programs, at most once in
// store.sync_interval: messages that somebody removed give their room back.
func (q *Quota) Look(ctx context.Context) error {
	q.mu.Lock()
	now := q.acct.vol.Clock.Now()
	if age := now.Sub(q.looked); !q.looked.IsZero() && age >= 0 && age < q.acct.vol.Config.SyncInterval {
		q.mu.Unlock()
		return nil
	}
	q.looked = now
	counted := q.folders
	q.mu.Unlock()
	names, err := q.acct.Names()
	if err != nil {
		return volume.Err(err)
	}
	if !slices.Equal(names, counted) || q.old() {
		// A folder came or went without us, or what maildirsize says was never
		// compared with what is there.
		_, err := q.Count(ctx)
		return err
	}
	_, err = q.acct.o.Sum(ctx, names)
	return err
}

// Used is what the account uses.
func (q *Quota) Used(ctx context.Context) (Usage, error) {
	q.mu.Lock()
	known := q.readUsage()
	now := q.now
	q.mu.Unlock()
	if known {
		return now, nil
	}
	return q.Count(ctx)
}

// readUsage brings the usage in memory up to date from maildirsize if another
// program changed it. false: it must be counted. q.mu is held.
func (q *Quota) readUsage() bool {
	if q.limits == (Usage{}) {
		return q.known
	}
	name := filepath.Join(q.acct.home, dirSizeFile)
	info, err := q.acct.vol.FS.Stat(name)
	if err != nil {
		return false
	}
	if q.known && info.Size() == q.size && info.ModTime().UnixNano() == q.mtime {
		return true
	}
	data, err := volume.ReadFile(q.acct.vol.FS, name)
	if err != nil || len(data) > maildir.MaxDirSize {
		return false
	}
	d, ok := maildir.ParseDirSize(data)
	if !ok || d.QuotaBytes != q.limits.Bytes || d.QuotaMessages != q.limits.Messages {
		return false
	}
	q.known, q.now = true, Usage{d.Bytes + q.owed.Bytes, d.Messages + q.owed.Messages}
	q.size, q.mtime = int64(len(data)), info.ModTime().UnixNano()
	return true
}

// countTries bounds how often a count begins anew because mail came meanwhile. It is
// no parameter: it is for a folder that changes while it is counted, and the next
// look counts again.
const countTries = 5

// Count adds up the indexes of all folders, after a look at what is in
// them, and writes maildirsize.
func (q *Quota) Count(ctx context.Context) (Usage, error) {
	for try := 1; ; try++ {
		q.mu.Lock()
		before := q.changes
		q.mu.Unlock()
		names, err := q.acct.Names()
		if err != nil {
			return Usage{}, volume.Err(err)
		}
		sum, err := q.acct.o.Sum(ctx, names)
		if err != nil {
			return Usage{}, err
		}
		if q.acct.Records.Removed() {
			return Usage{}, volume.ErrNotFound
		}
		q.mu.Lock()
		if q.changes != before && try < countTries {
			q.mu.Unlock()
			continue
		}
		defer q.mu.Unlock()
		if q.changes != before {
			names = nil // the next look counts again
		}
		return sum, q.setUsage(sum, names)
	}
}

// setUsage notes the result of a count; q.mu is held.
func (q *Quota) setUsage(sum Usage, folders []string) error {
	q.known, q.now, q.owed, q.folders = true, sum, Usage{}, folders
	if q.limits == (Usage{}) {
		return nil
	}
	d := maildir.DirSize{QuotaBytes: q.limits.Bytes, QuotaMessages: q.limits.Messages, Bytes: sum.Bytes, Messages: sum.Messages}
	if err := q.acct.passOver(dirSizeFile, q.acct.writeFile(dirSizeFile, d.Append(nil))); err != nil {
		return volume.Err(err)
	}
	q.seenDirSize()
	return nil
}

// seenDirSize notes the file's state as known; q.mu is held.
func (q *Quota) seenDirSize() {
	if info, err := q.acct.vol.FS.Stat(filepath.Join(q.acct.home, dirSizeFile)); err == nil {
		q.size, q.mtime = info.Size(), info.ModTime().UnixNano()
	}
}

// Add counts a change, for others to see at once: a process that is
// killed leaves maildirsize right.
func (q *Quota) Add(size, count int64) { q.Redeem(nil, size, count) }

// Redeem is addUsage for what r, which may be nil, was reserved for. There is no
// moment in which both count, or neither.
func (q *Quota) Redeem(r *Reservation, size, count int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop(r)
	q.changes++
	q.now.Bytes, q.now.Messages = q.now.Bytes+size, q.now.Messages+count
	if q.limits != (Usage{}) {
		q.owed.Bytes, q.owed.Messages = q.owed.Bytes+size, q.owed.Messages+count
		q.payUsage()
	}
}

// Changed tells that another process changed the set of messages. With a
// quota maildirsize has it; without, the sum is made anew when asked for.
func (q *Quota) Changed(changed bool) {
	if changed {
		q.Forget()
	}
}

// Forget makes the next question count.
func (q *Quota) Forget() {
	q.mu.Lock()
	q.known = false
	q.mu.Unlock()
}

// Distrust makes the next question count: after a crash nobody knows whether
// what a message takes was added to maildirsize.
func (q *Quota) Distrust() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.known, q.folders = false, nil
	if q.acct.Records.Removed() {
		return
	}
	if err := q.acct.vol.FS.Remove(filepath.Join(q.acct.home, dirSizeFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		q.acct.vol.Log.Warn("removing maildirsize", "path", q.acct.home, "cause", err)
	}
}

// Flush appends what is owed to maildirsize.
func (q *Quota) Flush() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.payUsage()
}

// payUsage appends what is owed to maildirsize, if there is one; q.mu is held.
// What cannot be written stays owed.
func (q *Quota) payUsage() {
	if q.acct.Records.Removed() { // the file there is another account's
		q.owed = Usage{}
	}
	if q.owed == (Usage{}) {
		return
	}
	f, err := q.acct.vol.FS.OpenFile(filepath.Join(q.acct.home, dirSizeFile), os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		q.owed, q.known = Usage{}, false
		return
	}
	if err == nil {
		_, err = f.Write(maildir.AppendDirSizeLine(nil, q.owed.Bytes, q.owed.Messages))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		q.acct.vol.Log.Warn("writing maildirsize", "path", q.acct.home, "cause", err)
		return
	}
	q.owed = Usage{}
	before := q.size
	q.seenDirSize()
	if q.size != before {
		q.known = q.known && q.size-before < 64
	}
}
