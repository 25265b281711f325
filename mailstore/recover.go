package mailstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
)

// openJournals opens a journal of our own and finishes those left behind. The
// first is ours.
func (s *Store) openJournals(ctx context.Context) error {
	all, err := s.leftJournals(ctx)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("mailstore: %d processes have the store open", maxJournals)
	}
	if err == nil {
		err = s.recoverAll(ctx, all)
	}
	if err == nil {
		s.journal, s.marks = all[0].journal, all[0].marks
		all = all[1:]
	}
	for _, l := range all {
		if closeErr := l.journal.Close(context.WithoutCancel(ctx)); err != nil {
			err = errors.Join(err, closeErr)
		} else if closeErr != nil {
			// The next Open has more to read.
			s.log.Warn("journal of another process not closed", "dir", l.dir, "cause", closeErr)
		}
	}
	return err
}

func (s *Store) recoverAll(ctx context.Context, all []leftJournal) error {
	// What is promised in them must not vanish with its name. This one may
	// fail for what the process before us could not write: all that is written
	// again now, and synced by recover.
	if err := s.syncAll(); err != nil {
		s.log.Warn("the mail store had unwritten data", "path", s.root, "cause", err)
	}
	left := departed(all)
	s.promised = s.promises(all)
	recoveries := make([]*recovery, len(all))
	for i, l := range all {
		recoveries[i] = s.newRecovery(l, left)
	}
	// Between journals there is no order: what one does may be what another
	// waited for.
	for again := true; again; {
		again = false
		for _, r := range recoveries {
			did, err := r.run(ctx)
			if err != nil {
				return err
			}
			again = again || did > 0 && len(all) > 1
		}
	}
	s.promised = nil
	// Everything must be durable before the segments may go.
	if err := s.Checkpoint(ctx); err != nil {
		return err
	}
	for _, r := range recoveries {
		r.end()
	}
	return nil
}

// leftJournal is a journal that no process uses.
type leftJournal struct {
	journal *journal.Journal
	dir     string
	records []storedRecord
	marks   *doneMarks
}

// leftJournals opens the journals that no process uses, at least one, new if
// need be. With an error they are still the caller's to close.
func (s *Store) leftJournals(ctx context.Context) (all []leftJournal, err error) {
	for n := range maxJournals {
		dir := s.journalDir(n)
		there, err := exists(s.fs, dir)
		if err != nil || !there && len(all) > 0 {
			return all, err
		}
		l, err := s.openJournal(ctx, dir)
		if errors.Is(err, journal.ErrInUse) {
			continue
		}
		if l.journal != nil {
			all = append(all, l)
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// folder is one mailbox of one account; incarnation tells it from one that was
// made later in the same place.
type (
	folder      struct{ home, dir string }
	incarnation struct {
		folder
		validity uint32
	}
)

// departed lists the folders that any of the journals says have left.
func departed(all []leftJournal) map[incarnation]bool {
	gone := map[incarnation]bool{}
	for _, l := range all {
		undone := l.undone()
		for _, r := range l.records {
			if r.kind == kindGone && r.validity != 0 && !undone[r.operation] {
				gone[incarnation{folder{r.home, r.dir}, r.validity}] = true
			}
		}
	}
	return gone
}

func (s *Store) openJournal(ctx context.Context, dir string) (leftJournal, error) {
	l := leftJournal{dir: dir, marks: &doneMarks{store: s}}
	for _, d := range []string{dir, s.corrupt(dir)} {
		if err := s.fs.MkdirAll(d, 0o700); err != nil {
			return l, err
		}
	}
	var err error
	l.journal, err = journal.Open(ctx, journal.Options{
		FS: s.fs, Dir: dir, SegmentSize: s.cfg.JournalSegment, CheckpointInterval: s.cfg.CheckpointInterval,
		Corrupt: s.corrupt(dir), Checkpoint: l.marks.checkpoint, Clock: s.clock, Log: s.log,
	}, func(pos journal.Position, payload []byte) (bool, error) {
		r, err := decodeRecord(payload)
		if err != nil {
			s.saveRecord(dir, pos, payload, err)
			return false, nil
		}
		r.pos, r.content = pos, nil
		l.records = append(l.records, *r)
		return r.acts(), nil
	})
	return l, err
}

// acts says that a record asks for something to be done.
func (r *storedRecord) acts() bool {
	switch r.kind {
	case kindStored, kindCopied, kindMoved, kindExpunged, kindRenamed:
		return true
	case kindGone:
		return r.deleted
	}
	return false
}

// touches says that what a record asks for is done in a folder.
func (r *storedRecord) touches(f folder) bool {
	switch r.kind {
	case kindCopied, kindMoved, kindRenamed:
		if (folder{r.home, r.to}) == f {
			return true
		}
	}
	return folder{r.home, r.dir} == f
}

// undone are the operations that were taken back, or need nothing more.
func (l *leftJournal) undone() map[uint64]bool {
	undone := map[uint64]bool{}
	for i := range l.records {
		if l.records[i].kind == kindUndone {
			undone[l.records[i].operation] = true
		}
	}
	return undone
}

// recovery finishes the records of a journal that no mark says are done, oldest
// first. One that cannot be finished stays in its journal for the next Open
// (unfinished.go), and so do those after it in the same folders.
//
// Not those of a folder that has left. In one journal the order says which
// they are. Between journals there is none, but a UIDVALIDITY is given once in
// an account: what was put into a folder that some journal says has left is
// finished only if that same folder is in its place, as after a rename that
// never reached the disk, or one back. What a process that still runs has
// written into its journal, or has recycled, is not known here.
type recovery struct {
	s      *Store
	l      leftJournal
	left   map[incarnation]bool
	gone   map[folder]int // index of the last kindGone
	undone map[uint64]bool
	whole  map[uint64]bool // operations all of whose records are there
	mark   journal.Position

	restored int
	done     []journal.Position
	waiting  []*storedRecord
	broken   map[folder]bool
}

func (s *Store) newRecovery(l leftJournal, left map[incarnation]bool) *recovery {
	r := &recovery{s: s, l: l, left: left, gone: map[folder]int{}, undone: l.undone(), whole: map[uint64]bool{}}
	for i := range l.records {
		switch rec := &l.records[i]; rec.kind {
		case kindGone:
			if !r.undone[rec.operation] {
				r.gone[folder{rec.home, rec.dir}] = i
			}
		case kindDone:
			r.mark = rec.done
		case kindCopied, kindMoved, kindExpunged:
			r.whole[rec.operation] = !rec.more
		}
	}
	return r
}

// leaves says that a folder left after record i.
func (r *recovery) leaves(i int, dir string) bool {
	last, ok := r.gone[folder{r.l.records[i].home, dir}]
	return ok && last > i
}

// promise is what clients were told of a message.
type promise struct {
	uid  uint32
	date int64
	zone int16
}

// promises are for files that lost their index record: they get the UIDs and
// dates they had.
func (s *Store) promises(all []leftJournal) map[string]map[string]promise {
	out := map[string]map[string]promise{}
	add := func(home, dir, name string, p promise) {
		path := filepath.Join(s.root, home, dir)
		if out[path] == nil {
			out[path] = map[string]promise{}
		}
		out[path][name] = p
	}
	for _, l := range all {
		r := s.newRecovery(l, nil)
		for i := range l.records {
			rec := &l.records[i]
			switch {
			case rec.kind == kindStored && !r.leaves(i, rec.dir):
				add(rec.home, rec.dir, rec.name, promise{rec.uid, rec.date, rec.zone})
			case (rec.kind == kindCopied || rec.kind == kindMoved) && !r.undone[rec.operation] && !r.leaves(i, rec.to):
				for _, it := range rec.items {
					add(rec.home, rec.to, it.newName, promise{it.newUID, it.date, it.zone})
				}
			}
		}
	}
	return out
}

// run does what is not done yet, and says how much that was.
func (r *recovery) run(ctx context.Context) (did int, err error) {
	r.done, r.waiting, r.broken = nil, nil, map[folder]bool{}
	for i := range r.l.records {
		rec := &r.l.records[i]
		if !rec.acts() {
			continue
		}
		from, to := folder{rec.home, rec.dir}, folder{rec.home, rec.to}
		if r.broken[from] || rec.touches(to) && r.broken[to] {
			r.broken[from] = true
			r.waiting = append(r.waiting, rec)
			continue
		}
		if !before(rec.pos, r.mark) {
			n, err := r.act(ctx, i)
			switch {
			case ctx.Err() != nil:
				return did, ctx.Err()
			case err != nil:
				// One mailbox must not keep the others from their mail, nor
				// each of its messages the start for a while.
				r.s.log.Error("changes of before the crash not finished, the next start tries again", "home", rec.home, "folder", rec.dir, "cause", err)
				r.broken[from] = true
				if rec.touches(to) {
					r.broken[to] = true
				}
				r.waiting = append(r.waiting, rec)
				continue
			}
			did += n
		}
		r.done = append(r.done, rec.pos)
	}
	r.restored += did
	return did, nil
}

// act does what record i asks for.
func (r *recovery) act(ctx context.Context, i int) (did int, err error) {
	rec, s := &r.l.records[i], r.s
	from := folder{rec.home, rec.dir}
	left := r.left[incarnation{from, rec.validity}]
	switch rec.kind {
	case kindStored:
		if r.leaves(i, rec.dir) {
			return 0, nil
		}
		return s.restore(ctx, r.l.journal, rec, left)
	case kindRenamed:
		if r.undone[rec.operation] {
			return 0, nil
		}
		moved, err := s.redoRename(ctx, r.l.journal, rec)
		for _, dir := range moved { // for the next run
			r.gone[folder{rec.home, dir}] = max(r.gone[folder{rec.home, dir}], i)
		}
		r.undone[rec.operation] = err == nil
		return len(moved), err
	case kindGone:
		if r.undone[rec.operation] {
			return 0, nil
		}
		return s.redoDelete(ctx, rec)
	}
	if r.leaves(i, rec.dir) || !r.whole[rec.operation] {
		return 0, nil
	}
	x := redoing{undo: r.undone[rec.operation], left: left}
	if rec.kind != kindExpunged {
		x.toLeft = r.left[incarnation{folder{rec.home, rec.to}, rec.toVal}]
		x.toLeaves = r.leaves(i, rec.to)
	}
	return s.redo(ctx, rec, x)
}

// end lets go of what is done, after a checkpoint.
func (r *recovery) end() {
	j := r.l.journal
	for _, pos := range r.done {
		j.Release(pos)
	}
	r.s.unfinished.keep(r.l, r.waiting)
	if len(r.waiting) == 0 {
		r.l.marks.begin(j)
	}
	if r.restored > 0 {
		r.s.log.Info("changes of before the crash were finished", "messages", r.restored)
	}
	j.Recovered()
}

// restore puts a message where it belongs, unless it is there, or was there
// and its owner removed it; or, with left set, unless the folder is another.
func (s *Store) restore(ctx context.Context, j *journal.Journal, r *storedRecord, left bool) (int, error) {
	if left {
		there, err := s.isMaildir(filepath.Join(s.root, r.home, r.dir))
		if err != nil || !there {
			return 0, err
		}
	}
	acct, err := s.acquire(Account{Home: r.home})
	if err != nil {
		return 0, err
	}
	defer s.releaseAccount(acct)
	if err := acct.ensureFolder(r.dir); err != nil {
		return 0, err
	}
	mb, err := acct.openDir(ctx, r.dir)
	if err != nil {
		return 0, err
	}
	defer s.release(mb)
	var whole storedRecord
	if r.hasContent {
		payload, err := j.Load(r.pos)
		if err != nil {
			return 0, err
		}
		again, err := decodeRecord(payload)
		if err != nil {
			return 0, err
		}
		whole = *again
	}
	date := time.Unix(r.date, 0).In(time.FixedZone("", int(r.zone)*60))
	d := &Delivery{Date: date, Content: envelope.Memory(whole.content), Flags: append(imapFlags(r.flags), r.keywords...)}
	did := 0
	defer acct.distrustUsage()
	err = mb.locked(ctx, func() (err error) {
		if left && mb.st.UIDValidity != r.validity {
			return nil
		}
		restored, err := mb.restoreLocked(ctx, r, d)
		if restored {
			did = 1
		}
		return err
	})
	return did, err
}

// ensureFolder makes a folder that was made shortly before a power loss.
func (a *account) ensureFolder(dir string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	there, err := a.hasFolder(dir)
	if err != nil || there {
		return err
	}
	return a.makeFolder(dir)
}

func (mb *mailbox) restoreLocked(ctx context.Context, r *storedRecord, d *Delivery) (bool, error) {
	if !r.hasContent {
		// Its file was synced with its name: what is missing was removed.
		return false, mb.compare(ctx, true)
	}
	known, err := mb.deliveredLocked(ctx, d, func(name string) bool { return name == r.name })
	if err != nil || known {
		return false, err
	}
	in, err := mb.store().prepare(mb, d)
	if err != nil {
		return false, err
	}
	defer in.close()
	in.msg.Name = r.name
	if r.validity == mb.st.UIDValidity && mb.st.Get(r.uid) == nil {
		in.msg.UID = r.uid
	}
	_, err = mb.link(d, in)
	return true, err
}

func (s *Store) journalDir(n int) string {
	return filepath.Join(s.root, Private, "journal-"+strconv.Itoa(n))
}

// corrupt is the folder of what was damaged in the journal in dir.
func (s *Store) corrupt(dir string) string {
	return filepath.Join(s.root, Private, "corrupt", filepath.Base(dir))
}

// saveRecord keeps a record that is of no use to us. It reports whether it lies
// there now.
func (s *Store) saveRecord(dir string, pos journal.Position, payload []byte, why error) bool {
	path := filepath.Join(s.corrupt(dir), fmt.Sprintf("record-%d-%d", pos.Segment, pos.Offset))
	f, err := s.fs.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.WriteAt(payload, 0)
		err = errors.Join(err, f.Sync(), f.Close(), s.fs.SyncDir(s.corrupt(dir)))
	}
	if err != nil {
		s.log.Error("record of the store's journal cannot be kept", "file", path, "why", why.Error(), "cause", err.Error())
		return false
	}
	s.log.Error("record of the store's journal kept in corrupt", "file", path, "why", why.Error())
	return true
}
