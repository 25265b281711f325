package mailstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

// The store's journal holds what LMTP and APPEND were answered OK for, until a
// checkpoint has made the Maildir durable. Each process has its own, in
// .toastmaster/journal-<n>; one that no process uses is finished by the next
// that starts.
//
// A record: version, kind (1 octet each), then as uvarint length and octets:
// account's home below the root, folder (".A.B" or ""). Of kind stored there
// follow: base name, UIDVALIDITY, UID, flags, date, zone (varints), number of
// keywords and keywords, 1 if the content follows, and the content to the end.
const (
	journalVersion = 1

	// kindStored: a message. Without content its file was synced before.
	kindStored = 1
	// kindGone: the folder was deleted or renamed; what was put there is not
	// put there again. Its UIDVALIDITY follows; 0, and none in older records:
	// not known.
	kindGone = 2
)

// maxJournals bounds the processes on one store.
const maxJournals = 64

// storedRecord is a decoded record.
type storedRecord struct {
	pos        journal.Position
	kind       byte
	home, dir  string
	name       string
	validity   uint32
	uid        uint32
	flags      maildir.Flags
	keywords   []imap.Flag
	date       int64
	zone       int16
	hasContent bool
	content    []byte
}

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
	for n, l := range all {
		if n > 0 || err != nil {
			err = errors.Join(err, l.journal.Close(context.WithoutCancel(ctx)))
		}
	}
	if err == nil {
		s.journal = all[0].journal
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
		if err := s.recover(ctx, l.journal, l.records, left); err != nil {
			return err
		}
	}
	return nil
}

// leftJournal is a journal that no process uses.
type leftJournal struct {
	journal *journal.Journal
	records []storedRecord
}

// leftJournals opens the journals that no process uses, at least one, new if
// need be. With an error they are still the caller's to close.
func (s *Store) leftJournals(ctx context.Context) (all []leftJournal, err error) {
	for n := range maxJournals {
		dir := filepath.Join(s.root, private, "journal-"+strconv.Itoa(n))
		there, err := exists(s.fs, dir)
		if err != nil || !there && len(all) > 0 {
			return all, err
		}
		j, records, err := s.openJournal(ctx, dir)
		if errors.Is(err, journal.ErrInUse) {
			continue
		}
		if j != nil {
			all = append(all, leftJournal{j, records})
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

func (s *Store) openJournal(ctx context.Context, dir string) (*journal.Journal, []storedRecord, error) {
	if err := s.fs.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	var records []storedRecord
	j, err := journal.Open(ctx, journal.Options{
		FS: s.fs, Dir: dir, SegmentSize: s.cfg.JournalSegment, CheckpointInterval: s.cfg.CheckpointInterval,
		Checkpoint: s.Checkpoint, Clock: s.clock, Log: s.log,
	}, func(pos journal.Position, payload []byte) (bool, error) {
		r, err := decodeRecord(payload)
		if err != nil {
			s.log.Error("record of the store's journal", "journal", dir, "cause", err)
			return false, nil
		}
		r.pos, r.content = pos, nil
		records = append(records, *r)
		return r.kind == kindStored, nil
	})
	return j, records, err
}

// recover finishes the records of a journal, oldest first.
//
// Not those of a folder that has left. In one journal the order says which
// they are. Between journals there is none, but a UIDVALIDITY is given once in
// an account: what was put into a folder that some journal says has left is
// finished only if that same folder is in its place, as after a rename that
// never reached the disk, or one back. What a process that still runs has
// written into its journal, or has recycled, is not known here.
func (s *Store) recover(ctx context.Context, j *journal.Journal, records []storedRecord, left map[incarnation]bool) error {
	gone := map[folder]int{} // index of the last kindGone
	for i, r := range records {
		if r.kind == kindGone {
			gone[folder{r.home, r.dir}] = i
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
	for i := range records {
		r := &records[i]
		if r.kind != kindStored {
			continue
		}
		if last, ok := gone[folder{r.home, r.dir}]; !ok || last < i {
			did, err := s.restore(ctx, j, r, left[incarnation{folder{r.home, r.dir}, r.validity}])
			if err != nil {
				return fmt.Errorf("mailstore: finishing a delivery of before the crash: %w", err)
			}
			if did {
				restored++
			}
		}
	}
	s.promised = nil
	// Everything must be durable before the segments may go.
	if err := s.Checkpoint(ctx); err != nil {
		return err
	}
	for i := range records {
		if records[i].kind == kindStored {
			j.Release(records[i].pos)
		}
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
	acct.mu.Lock()
	there, err := acct.hasFolder(r.dir)
	if err == nil && !there {
		err = acct.makeFolder(r.dir) // made shortly before the power loss
	}
	acct.mu.Unlock()
	if err != nil {
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
	if err := mb.begin(ctx); err != nil {
		return false, err
	}
	if left && mb.st.UIDValidity != r.validity {
		return false, mb.end()
	}
	did, err := mb.restoreLocked(ctx, r, d)
	return did, errors.Join(err, mb.end())
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

// imapFlags are the system flags of bits.
func imapFlags(bits maildir.Flags) (flags []imap.Flag) {
	for _, f := range systemFlags() {
		if bits&f.bit != 0 {
			flags = append(flags, f.flag)
		}
	}
	return flags
}

// journals says that the content goes into the journal. A larger one, which
// would be written twice, is synced at once.
func (s *Store) journals(d *Delivery) bool {
	b, ok := d.Content.Bytes()
	return ok && int64(len(d.Prefix)+len(b)) <= s.journal.MaxRecord()/4
}

// journalMessage makes a message durable through the journal. It was stored
// before without a sync; its file may be on disk or not.
func (mb *mailbox) journalMessage(ctx context.Context, m *index.Message, validity uint32, d *Delivery) error {
	s := mb.store()
	content, _ := d.Content.Bytes()
	inMemory := s.journals(d)
	head, err := mb.record(m, validity, d, inMemory)
	if err != nil {
		return err
	}
	mb.acct.journaling.RLock()
	defer mb.acct.journaling.RUnlock()
	if mb.deleted || mb.acct.gone.Load() {
		return ErrNotFound
	}
	// If it was renamed the message went along, durable since the checkpoint
	// before, and no recovery follows the record.
	var pos journal.Position
	if inMemory {
		pos, err = s.journal.Append(ctx, head, d.Prefix, content)
	} else {
		pos, err = s.journal.Append(ctx, head)
	}
	if err != nil {
		return err
	}
	// The Maildir was written before this: the next checkpoint covers it.
	s.journal.Release(pos)
	return nil
}

// leave makes it durable that the folder leaves, and lets move do it: after
// every record of a message in it, and before whoever has put one there and
// not journaled it yet can do so.
func (mb *mailbox) leave(ctx context.Context, move func() error) error {
	mb.acct.journaling.Lock()
	defer mb.acct.journaling.Unlock()
	if err := mb.acct.journalGone(ctx, mb.dir, mb.st.UIDValidity); err != nil {
		return err
	}
	return move()
}

// journalGone makes it durable that a folder is about to be deleted or
// renamed. a.journaling is held.
func (a *account) journalGone(ctx context.Context, dir string, validity uint32) error {
	home, err := filepath.Rel(a.store.root, a.home)
	if err != nil {
		return err
	}
	j := a.store.journal
	if err := j.AppendLazy(binary.AppendUvarint(appendGone(nil, kindGone, home, dir), uint64(validity))); err != nil {
		return err
	}
	return j.Flush(ctx)
}
