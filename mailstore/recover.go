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
		s.journal = all[0].journal
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
	for _, l := range all {
		if err := s.recover(ctx, l, left); err != nil {
			return err
		}
		l.journal.Recovered()
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
		for _, r := range l.records {
			if r.kind == kindGone && r.validity != 0 {
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
		return r.kind == kindStored, nil
	})
	return l, err
}

// recover finishes the records of a journal that no mark says are done, oldest
// first. One that cannot be finished stays in its journal for the next Open
// (unfinished.go).
//
// Not those of a folder that has left. In one journal the order says which
// they are. Between journals there is none, but a UIDVALIDITY is given once in
// an account: what was put into a folder that some journal says has left is
// finished only if that same folder is in its place, as after a rename that
// never reached the disk, or one back. What a process that still runs has
// written into its journal, or has recycled, is not known here.
func (s *Store) recover(ctx context.Context, l leftJournal, left map[incarnation]bool) error {
	j, records := l.journal, l.records
	gone := map[folder]int{} // index of the last kindGone
	var mark journal.Position
	for i, r := range records {
		switch r.kind {
		case kindGone:
			gone[folder{r.home, r.dir}] = i
		case kindDone:
			mark = r.done
		}
	}
	// Files that lost their index record are to get the UIDs they had.
	s.promised = map[string]map[string]uint32{}
	for i, r := range records {
		if last, ok := gone[folder{r.home, r.dir}]; r.kind != kindStored || ok && last > i {
			continue
		}
		path := filepath.Join(s.root, r.home, r.dir)
		if s.promised[path] == nil {
			s.promised[path] = map[string]uint32{}
		}
		s.promised[path][r.name] = r.uid
	}
	restored := 0
	var done []journal.Position
	var waiting []*storedRecord
	broken := map[folder]bool{}
	for i := range records {
		r := &records[i]
		if r.kind != kindStored {
			continue
		}
		at := folder{r.home, r.dir}
		if broken[at] {
			waiting = append(waiting, r)
			continue
		}
		if last, ok := gone[at]; (!ok || last < i) && !before(r.pos, mark) {
			did, err := s.restore(ctx, j, r, left[incarnation{at, r.validity}])
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				// One mailbox must not keep the others from their mail, nor
				// each of its messages the start for a while.
				s.log.Error("deliveries of before the crash not finished, the next start tries again", "home", r.home, "folder", r.dir, "cause", err)
				broken[at] = true
				waiting = append(waiting, r)
				continue
			case did:
				restored++
			}
		}
		done = append(done, r.pos)
	}
	s.promised = nil
	// Everything must be durable before the segments may go.
	if err := s.Checkpoint(ctx); err != nil {
		return err
	}
	for _, pos := range done {
		j.Release(pos)
	}
	s.unfinished.keep(l, waiting)
	if len(waiting) == 0 {
		l.marks.begin(j)
	}
	if restored > 0 {
		s.log.Info("deliveries of before the crash were finished", "messages", restored)
	}
	return nil
}

// restore puts a message where it belongs, unless it is there, or was there
// and its owner removed it; or, with left set, unless the folder is another.
func (s *Store) restore(ctx context.Context, j *journal.Journal, r *storedRecord, left bool) (bool, error) {
	if left {
		there, err := s.isMaildir(filepath.Join(s.root, r.home, r.dir))
		if err != nil || !there {
			return false, err
		}
	}
	acct, err := s.acquire(Account{Home: r.home})
	if err != nil {
		return false, err
	}
	defer s.releaseAccount(acct)
	if err := acct.ensureFolder(r.dir); err != nil {
		return false, err
	}
	mb, err := acct.openDir(ctx, r.dir)
	if err != nil {
		return false, err
	}
	defer s.release(mb)
	var whole storedRecord
	if r.hasContent {
		payload, err := j.Load(r.pos)
		if err != nil {
			return false, err
		}
		again, err := decodeRecord(payload)
		if err != nil {
			return false, err
		}
		whole = *again
	}
	date := time.Unix(r.date, 0).In(time.FixedZone("", int(r.zone)*60))
	d := &Delivery{Date: date, Content: envelope.Memory(whole.content), Flags: append(imapFlags(r.flags), r.keywords...)}
	did := false
	err = mb.locked(ctx, func() (err error) {
		if left && mb.st.UIDValidity != r.validity {
			return nil
		}
		did, err = mb.restoreLocked(ctx, r, d)
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
	return filepath.Join(s.root, private, "journal-"+strconv.Itoa(n))
}

// corrupt is the folder of what was damaged in the journal in dir.
func (s *Store) corrupt(dir string) string {
	return filepath.Join(s.root, private, "corrupt", filepath.Base(dir))
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
