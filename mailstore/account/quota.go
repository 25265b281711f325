package account

import (
	"context"
	"errors"
	"fmt"
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
// where other processes and Dovecot keep theirs, and what is reserved is in
// toastmaster.changes.
//
// Both files are written under the lock usagedisk. Without it, because another process
// was stopped while it held it, a change is owed, and what is used is counted anew when
// the lock can be had.
type Quota struct {
	acct *Account
	mu   lockorder.Mutex[volume.UsageLock]
	// disk keeps other processes away from maildirsize and the reservations; see among.
	disk   *volume.AccountLock[volume.UsageDiskLock]
	limits Usage
	known  bool
	now    Usage
	// changes counts what was added, so that a count notices what it missed.
	changes uint64
	// owed is what could not be added to maildirsize. doubt says that maildirsize is
	// not to be believed, and could not be removed.
	owed  Usage
	doubt bool
	// said: the log has it that other processes are told later.
	said bool
	// size and mtime are the file's as read, at is when it was counted.
	size, mtime int64
	// folders are those of the last count, nil before; looked is when the
	// folders were last asked for changes by others.
	folders []string
	looked  time.Time
	// reserved is the sum of all reservations; those with an ID are held too. told is
	// what other processes know of it, theirs what they had when we looked last.
	reserved, told, theirs Usage
	held                   map[string]*Reservation
	// log is toastmaster.changes as it was read last.
	log *changes
}

// among is the lock among processes; most accounts that have no quota never need it. q.mu
// is held.
func (q *Quota) among() *volume.AccountLock[volume.UsageDiskLock] {
	if q.disk == nil {
		q.disk = volume.NewAccountLock[volume.UsageDiskLock](volume.AccountLockOptions{Volume: q.acct.vol, Home: q.acct.Records.Home(), What: "usage"})
	}
	return q.disk
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
// One that failed does not count.
func (q *Quota) Look(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			q.mu.Lock()
			q.looked = time.Time{}
			q.mu.Unlock()
		}
	}()
	q.mu.Lock()
	now := q.acct.vol.Clock.Now()
	if age := now.Sub(q.looked); !q.looked.IsZero() && age >= 0 && age < q.acct.vol.Config.SyncInterval {
		q.mu.Unlock()
		return nil
	}
	q.looked = now
	counted := q.folders
	err = q.settle(ctx)
	q.mu.Unlock()
	if err != nil {
		return err
	}
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
	if q.doubt {
		return false
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
		before, seen := q.changes, q.seen()
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
		last := try == countTries
		if done, err := q.counted(ctx, sum, names, before, seen, last); done || err != nil {
			return sum, err
		}
	}
}

// counted ends a count; it is not done when something changed meanwhile and it is not
// the last.
func (q *Quota) counted(ctx context.Context, sum Usage, names []string, before uint64, seen seen, last bool) (done bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.limits != (Usage{}) {
		if err := q.among().Lock(ctx); err != nil {
			return false, err
		}
		defer q.disk.Unlock()
	}
	if q.changes != before || q.seen() != seen {
		if !last {
			return false, nil
		}
		names = nil // the next look counts again
	}
	return true, q.setUsage(sum, names)
}

// seen tells whether another process changed what is used between two moments.
type seen struct {
	dirSize volume.Stamp
	used    uint64
}

// seen is that of now. What cannot be read is as if it were not there; q.mu is held.
func (q *Quota) seen() (s seen) {
	if q.limits == (Usage{}) {
		return s
	}
	s.dirSize, _ = volume.FileStamp(q.acct.vol.FS, filepath.Join(q.acct.home, dirSizeFile))
	if c, err := q.readChanges(); err == nil && c != nil {
		s.used = c.used
	}
	return s
}

// setUsage notes the result of a count; q.mu is held, and with a quota the lock among
// processes.
func (q *Quota) setUsage(sum Usage, folders []string) error {
	q.known, q.now, q.owed, q.folders, q.doubt = true, sum, Usage{}, folders, false
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

// Redeem is Add for what r, which may be nil, was reserved for. There is no
// moment in which both count, or neither.
func (q *Quota) Redeem(r *Reservation, size, count int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop(r)
	q.changes++
	q.now.Bytes, q.now.Messages = q.now.Bytes+size, q.now.Messages+count
	if q.limits != (Usage{}) {
		q.owed.Bytes, q.owed.Messages = q.owed.Bytes+size, q.owed.Messages+count
		q.pay()
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
	q.known, q.folders, q.doubt = false, nil, true
	q.pay()
}

// Flush tells other processes what they do not know yet. It is false when that cannot be
// done now: nobody else knows it, so the account stays in memory until it can.
func (q *Quota) Flush() (paid bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pay()
	return !q.owes()
}

// owes says that there is something that other processes do not know; q.mu is held.
func (q *Quota) owes() bool { return q.owed != (Usage{}) || q.told != q.reserved || q.doubt }

// pay tells other processes what they do not know yet; q.mu is held. What cannot be
// told now is told by the next call.
func (q *Quota) pay() {
	if q.acct.Records.Removed() { // the files there are another account's
		q.owed, q.told, q.doubt = Usage{}, q.reserved, false
	}
	if !q.owes() {
		return
	}
	// It is often called with a mailbox locked, so the limit is store.lock_timeout alone.
	if err := q.among().Lock(context.Background()); err != nil {
		// When this is written at last others may have counted it.
		q.doubt = q.doubt || q.owed != (Usage{})
		q.owed = Usage{}
		q.late(err)
		return
	}
	defer q.disk.Unlock()
	err := q.payLocked()
	q.late(err)
}

// late says that other processes are told later, once until they are; q.mu is held.
func (q *Quota) late(err error) {
	if err != nil && !q.said {
		q.acct.vol.Log.Warn("what an account uses is told to other processes later", "path", q.acct.home, "cause", err)
	}
	q.said = err != nil
}

// payLocked is pay with the lock among processes. What is used comes first: who
// finds a reservation of a process that was killed counts anew.
func (q *Quota) payLocked() error {
	c, err := q.readChanges()
	if err == nil && q.doubt {
		err = q.removeDirSize(c)
	}
	if err == nil {
		err = q.payUsage(c)
	}
	if err == nil && q.told != q.reserved {
		err = q.tell(c)
	}
	return err
}

// readChanges is Account.readChanges; nil for a file that is none, which an
// administrator must take away: then processes know less of one another.
func (q *Quota) readChanges() (*changes, error) {
	c, err := q.acct.readChanges(q.log)
	q.log = c
	return c, q.acct.passOver(changesFile, err)
}

// removeDirSize has what is used counted anew, by everybody.
func (q *Quota) removeDirSize(c *changes) error {
	err := q.acct.vol.FS.Remove(filepath.Join(q.acct.home, dirSizeFile))
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%w: %w", volume.ErrNoFile, err) // a folder with something in it
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if err = q.acct.passOver(dirSizeFile, err); err != nil {
			return err
		}
	}
	q.doubt, q.owed = false, Usage{}
	if q.limits == (Usage{}) {
		return nil
	}
	return c.append(changeUsed, nil)
}

// tell writes what is reserved.
func (q *Quota) tell(c *changes) error {
	if err := c.append(changeReserved, reservedPayload(q.acct.vol.Own(), q.reserved)); err != nil {
		return err
	}
	q.told = q.reserved
	return nil
}

// payUsage appends what is owed to maildirsize. The locks are held. What cannot be
// written stays owed.
func (q *Quota) payUsage(c *changes) error {
	if q.owed == (Usage{}) {
		return nil
	}
	f, err := q.acct.vol.FS.OpenFile(filepath.Join(q.acct.home, dirSizeFile), os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		// It is counted at the next question. Who counts in this moment has missed it.
		q.owed, q.known = Usage{}, false
		return c.append(changeUsed, nil)
	}
	line := maildir.AppendDirSizeLine(nil, q.owed.Bytes, q.owed.Messages)
	if err == nil {
		var n int
		n, err = f.Write(line)
		err = errors.Join(err, f.Close())
		// A part of a line would be one with the next line.
		q.doubt = q.doubt || err != nil && n > 0
	}
	if volume.Odd(err) { // nobody can write it, and an administrator must take it away
		q.owed = Usage{}
		return errors.Join(q.acct.passOver(dirSizeFile, err), c.append(changeUsed, nil))
	}
	if err != nil {
		return err
	}
	q.owed = Usage{}
	before := q.size
	q.seenDirSize()
	if q.size != before+int64(len(line)) {
		q.known = false // others have written, too
	}
	return nil
}

// settle has what a process may have left half counted that is gone counted anew, at
// the next question. q.mu is held.
func (q *Quota) settle(ctx context.Context) error {
	if q.limits == (Usage{}) {
		return nil
	}
	c, err := q.readChanges()
	if err != nil || c == nil {
		return volume.Err(err)
	}
	if _, gone, err := c.ofOthers(); err != nil || len(gone) == 0 {
		return volume.Err(err)
	}
	if err := q.among().Lock(ctx); err != nil {
		return err
	}
	defer q.disk.Unlock()
	if c, err = q.readChanges(); err != nil || c == nil {
		return volume.Err(err)
	}
	_, err = q.settleLocked(c)
	return volume.Err(err)
}

// settleLocked is settle with the lock among processes: what others that live have
// reserved.
func (q *Quota) settleLocked(c *changes) (theirs Usage, err error) {
	theirs, gone, err := c.ofOthers()
	if err != nil || len(gone) == 0 {
		return theirs, err
	}
	q.known, q.folders = false, nil
	if err := q.removeDirSize(c); err != nil {
		return theirs, err
	}
	for _, who := range gone {
		// Last: as long as it stands there somebody counts anew.
		if err := c.append(changeReserved, reservedPayload(who, Usage{})); err != nil {
			return theirs, err
		}
	}
	return theirs, nil
}
