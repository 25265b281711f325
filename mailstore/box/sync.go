package box

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"toastmaster/internal/spool"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/packed"
	"toastmaster/mailstore/volume"
)

// ahead is how far the clock of whoever changes a directory may be ahead of ours.
const ahead = time.Minute

// syncState says when the directories are to be read again although their
// mtime did not change. Zero is never.
type syncState struct {
	newDue, curDue time.Time
	lastScan       time.Time
	scanTook       time.Duration
	// unread: the last scan met a new message that cannot be read.
	unread bool
	// expungedLeft: files of expunged messages could not be removed. They are
	// no new messages.
	expungedLeft bool
}

// Refresh looks for changes by other programs. In the usual case, none, it
// costs three stats and no lock between processes. A failing disk is not
// hidden; a mailbox that is gone is ErrNotFound.
func (mb *Box) Refresh(ctx context.Context) error {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	return mb.refreshLocked(ctx)
}

func (mb *Box) refreshLocked(ctx context.Context) error {
	if mb.dead {
		return nil // views find it empty
	}
	n, c, err := mb.files.mtimes()
	if errors.Is(err, fs.ErrNotExist) {
		mb.went(ctx)
		mb.bury()
		return nil
	}
	if err != nil {
		return volume.Err(err)
	}
	grown, err := mb.log.Grown()
	if err != nil {
		return volume.Err(err)
	}
	scanNew, scanCur := mb.stale(n, c)
	if !grown && !scanNew && !scanCur {
		return nil
	}
	// Somebody who changes the directory all the time must not make us read
	// it all the time.
	if age := mb.now().Sub(mb.sync.lastScan); !grown && age >= 0 && age < 20*mb.sync.scanTook {
		return nil
	}
	return volume.Err(mb.flocked(ctx, func() error { return mb.compare(ctx, false) }))
}

// stale says which directories must be read.
func (mb *Box) stale(n, c int64) (scanNew, scanCur bool) {
	due := func(t time.Time) bool { return !t.IsZero() && !mb.now().Before(t) }
	return n != mb.st.New.MTime || due(mb.sync.newDue), c != mb.st.Cur.MTime || due(mb.sync.curDue)
}

// compare reads what is stale and logs the differences. The locks are held.
// With rebuild set everything is read and dovecot-uidlist is believed.
func (mb *Box) compare(ctx context.Context, rebuild bool) error {
	n, c, err := mb.files.mtimes()
	if err != nil {
		return err
	}
	scanNew, scanCur := mb.stale(n, c)
	if rebuild {
		scanNew, scanCur = true, true
	}
	if !scanNew && !scanCur {
		return nil
	}
	if mb.sync.expungedLeft {
		if err := mb.finishUnlinks(); err != nil {
			return err
		}
		mb.sync.expungedLeft = false
	}
	started := mb.now()
	mb.sync.unread = false
	d, err := mb.scan(scanNew, scanCur)
	if err != nil {
		return err
	}
	if err := mb.keywords.learn(mb.st, &mb.batch); err != nil {
		return err
	}
	if err := mb.merge(ctx, d, rebuild); err != nil {
		return err
	}
	mb.stamp(d, n, c)
	mb.keywords.nameLetters(mb.st, &mb.batch, d.letters)
	mb.sync.lastScan = mb.now()
	mb.sync.scanTook = mb.sync.lastScan.Sub(started)
	err = mb.commit(nil)
	if !spool.IsFull(err) || len(d.at) == 0 {
		return err
	}
	// The new messages wait for room; what is known can be read, and deleted.
	mb.vol.Log.Warn("the disk is full, new messages are not shown yet", "path", mb.path, "messages", len(d.at), "cause", err)
	d.at = nil
	mb.acct.Quota.Forget()
	if err := mb.merge(ctx, d, rebuild); err != nil {
		return err
	}
	mb.forget()
	return mb.commit(nil)
}

// stamp notes the mtimes from before the scan. One that is too young to be
// trusted is looked at again after a tick.
func (mb *Box) stamp(d *difference, n, c int64) {
	now := mb.now()
	young := func(mtime int64) (index.Stamp, time.Time) {
		// One that lies far ahead is of a clock that was wrong: what changes
		// now gets another.
		if age := now.Sub(time.Unix(0, mtime)); age < volume.Tick && age > -ahead {
			return index.Stamp{MTime: mtime, Racy: true}, now.Add(volume.Tick)
		}
		return index.Stamp{MTime: mtime}, time.Time{}
	}
	stampNew, stampCur := mb.st.New, mb.st.Cur
	if d.readNew {
		stampNew, mb.sync.newDue = young(n)
	}
	if d.readCur {
		stampCur, mb.sync.curDue = young(c)
	}
	if mb.sync.unread {
		due := now.Add(mb.vol.Config.VerifyInterval)
		mb.sync.newDue, mb.sync.curDue = earlier(mb.sync.newDue, due), earlier(mb.sync.curDue, due)
		stampNew.Racy, stampCur.Racy = true, true // for who loads the index next
	}
	mb.batch.Stamps(stampNew, stampCur)
}

// difference is what a scan found.
type difference struct {
	readNew, readCur bool
	moved            []*index.Message // with the place in at
	at               map[string]place // afterwards: unknown files
	where            []place          // parallel to moved
	missing          []uint32
	// letters are the flags of all unknown and changed files.
	letters maildir.Flags
}

// scan reads the directories and compares them with the index. A message
// that is not found is looked for once more in both: a file renamed while its
// directory is read may be listed under neither name.
func (mb *Box) scan(scanNew, scanCur bool) (*difference, error) {
	for again := false; ; again = true {
		d := &difference{readNew: scanNew, readCur: scanCur, at: make(map[string]place, len(mb.st.Messages)/2)}
		// new first: mail moves from new to cur.
		if scanNew {
			if err := mb.files.list(d.at, "new", true); err != nil {
				return nil, err
			}
		}
		if scanCur {
			if err := mb.files.list(d.at, "cur", false); err != nil {
				return nil, err
			}
		}
		mb.diff(d)
		if len(d.missing) == 0 || again {
			return d, nil
		}
		scanNew, scanCur = true, true
	}
}

// diff takes what the index knows out of d.at.
func (mb *Box) diff(d *difference) {
	for _, m := range mb.st.Messages {
		p, found := d.at[m.Name]
		if !found {
			if m.InNew && d.readNew || !m.InNew && d.readCur {
				d.missing = append(d.missing, m.UID)
			}
			continue
		}
		delete(d.at, m.Name)
		if !p.is(m) {
			d.letters |= p.flags
			d.moved, d.where = append(d.moved, m), append(d.where, p)
		}
	}
	for _, p := range d.at {
		d.letters |= p.flags
	}
}

// merge logs the differences into the batch and commits what is large.
func (mb *Box) merge(ctx context.Context, d *difference, rebuild bool) error {
	modSeq := mb.st.ModSeq + 1
	for i, m := range d.moved {
		p, seq := d.where[i], m.ModSeq
		if p.flags != m.Flags {
			seq = modSeq
		}
		mb.batch.Flags([]uint32{m.UID}, p.flags, p.inNew, p.hasInfo, seq)
		if p.odd {
			mb.batch.Rare([]uint32{m.UID}, p.rare(m.Rarely()))
		}
		mb.flagsGen++
	}
	if len(d.missing) > 0 {
		var size int64
		for _, uid := range d.missing {
			size += mb.st.Get(uid).Size
		}
		mb.batch.Expunge(d.missing, modSeq, mb.now().Unix(), true)
		mb.setGen++
		mb.acct.Quota.Add(-size, -int64(len(d.missing)))
	}
	if len(d.at) == 0 {
		return nil
	}
	return mb.addFound(ctx, d, modSeq, rebuild)
}

// found is an unknown file with the UID it is to have, 0 for the next.
type found struct {
	base string
	place
	uid uint32
}

// addFound gives the unknown files UIDs: those of dovecot-uidlist as far as
// they are still free, then new ones in the order of their names.
func (mb *Box) addFound(ctx context.Context, d *difference, modSeq uint64, rebuild bool) error {
	hints := mb.uidHints(rebuild)
	files := make([]found, 0, len(d.at))
	for base, p := range d.at {
		files = append(files, found{base: base, place: p, uid: hints[base]})
	}
	slices.SortFunc(files, func(a, b found) int {
		switch {
		case a.uid != b.uid && a.uid != 0 && b.uid != 0:
			return cmp.Compare(a.uid, b.uid)
		case (a.uid != 0) != (b.uid != 0):
			return cmp.Compare(b.uid, a.uid) // those with a UID first
		}
		return cmp.Or(cmp.Compare(maildir.Seconds(a.base), maildir.Seconds(b.base)), cmp.Compare(a.base, b.base))
	})
	next := mb.st.UIDNext
	promised := mb.promised()
	for _, p := range promised {
		next = max(next, p.UID+1) // the journal puts that message here next
	}
	var size, count int64
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := mb.examine(ctx, f)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone again
		}
		if volume.Odd(err) {
			mb.unread(f.file, err)
			continue
		}
		if err != nil {
			return err
		}
		m.UID, m.ModSeq = f.uid, modSeq
		if p, ok := promised[f.base]; ok {
			m.Date, m.Zone = p.Date, p.Zone
		}
		if m.UID == 0 {
			m.UID = next
		}
		next = max(next, m.UID+1)
		mb.batch.Add(m)
		mb.noteAdded(m.UID)
		size, count = size+m.Size, count+1
	}
	if rebuild {
		return nil // not new for the account, and usage is computed anyway
	}
	mb.acct.Quota.Add(size, count)
	return nil
}

// examine opens a file we did not write: its date is its mtime, as Dovecot
// has it; its sizes are in its name or must be counted.
func (mb *Box) examine(ctx context.Context, f found) (*index.Message, error) {
	file, err := volume.OpenRegular(mb.vol.FS, filepath.Join(mb.path, f.file), os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info := file.Info
	stored, wire := maildir.Sizes(f.base)
	if info.Size() == 0 && stored > 0 && mb.neverStored(f.base) {
		return nil, &fs.PathError{Op: "read", Path: file.Name(), Err: volume.ErrNeverStored}
	}
	m := &index.Message{
		Name: f.base, Flags: f.flags, InNew: f.inNew, HasInfo: f.hasInfo,
		Date: info.ModTime().Unix(), Size: info.Size(), Wire: wire,
	}
	m.SetRare(f.rare(index.Rare{Keywords: mb.more[f.base]}))
	form, err := mb.o.Memory.packed.isPacked(ctx, file, f.base, f.rest)
	switch {
	case err != nil:
		return nil, err
	case form != packed.None:
		err = mb.o.Memory.packed.examine(ctx, file, form, m)
	case wire < 0 || stored != info.Size():
		m.Wire, err = wireSize(file, info.Size())
	}
	return m, err
}

// own brackets a change that this process makes in the directories, so that
// it is not taken for somebody else's.
type own struct {
	inNew, inCur bool
	n, c         int64 // mtimes before
}

// before notes the mtimes of the directories that are about to change.
func (mb *Box) before(inNew, inCur bool) (o own, err error) {
	o.inNew, o.inCur = inNew, inCur
	if inNew {
		if o.n, err = mb.files.mtime("new"); err != nil {
			return o, err
		}
	}
	if inCur {
		o.c, err = mb.files.mtime("cur")
	}
	return o, err
}

// after logs the mtimes as known if they were known before. What others did
// between the two calls, or in the same volume.Tick, cannot be seen in the mtime:
// the directory is read again after verify_interval.
func (mb *Box) after(o own) error {
	due := mb.now().Add(mb.vol.Config.VerifyInterval)
	stampNew, stampCur := mb.st.New, mb.st.Cur
	if o.inNew && o.n == stampNew.MTime {
		n, err := mb.files.mtime("new")
		if err != nil {
			return err
		}
		if n != o.n {
			stampNew = index.Stamp{MTime: n, Racy: true}
			mb.sync.newDue = earlier(mb.sync.newDue, due)
		}
	}
	if o.inCur && o.c == stampCur.MTime {
		c, err := mb.files.mtime("cur")
		if err != nil {
			return err
		}
		if c != o.c {
			stampCur = index.Stamp{MTime: c, Racy: true}
			mb.sync.curDue = earlier(mb.sync.curDue, due)
		}
	}
	if stampNew != mb.st.New || stampCur != mb.st.Cur {
		mb.batch.Stamps(stampNew, stampCur)
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// unread notes that an unknown file cannot be read now. Whoever gives it its
// rights back changes no directory, so both are read again after
// verify_interval.
func (mb *Box) unread(file string, cause error) {
	mb.vol.SayOnce(filepath.Join(mb.path, file), "cannot be read", cause)
	mb.sync.unread = true
}

// neverStored says of an empty file that it was never stored. It is one of ours, because others have
// other rules; none that the queue delivers again, which finds the name and
// fills the file; and none that the journal has, which does the same. It stays
// where it is: whoever copies a mailbox with cp may be about to fill it. A part
// of a message is shown: it may be all that there is.
func (mb *Box) neverStored(base string) bool {
	if _, told := mb.promised()[base]; told {
		return false
	}
	_, rest, _ := strings.Cut(base, ".")
	unique, rest, _ := strings.Cut(rest, ".")
	host, _, _ := strings.Cut(rest, ",S=")
	return volume.IsUnique(unique) && host == mb.vol.Host()
}

// forget makes the next comparison read both directories.
func (mb *Box) forget() {
	mb.sync.newDue, mb.sync.curDue = mb.now(), mb.now()
}
