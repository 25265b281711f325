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
	// kindGone: the folder was deleted or renamed; what older records put
	// there is not put there again.
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

// openJournals opens a journal of our own and finishes those left behind.
func (s *Store) openJournals(ctx context.Context) error {
	for n := range maxJournals {
		dir := filepath.Join(s.root, private, "journal-"+strconv.Itoa(n))
		there, err := exists(s.fs, dir)
		if err != nil {
			return err
		}
		if !there && s.journal != nil {
			return nil
		}
		j, records, err := s.openJournal(ctx, dir)
		if errors.Is(err, journal.ErrInUse) {
			continue
		}
		if j == nil {
			return err
		}
		if err == nil {
			// What is promised in it must not vanish with its name. This one
			// may fail for what the process before us could not write: all
			// that is written again now, and synced by recover.
			if err := s.syncAll(); err != nil {
				s.log.Warn("the mail store had unwritten data", "path", s.root, "cause", err)
			}
			err = s.recover(ctx, j, records)
		}
		if err != nil {
			return errors.Join(err, j.Close(context.WithoutCancel(ctx)))
		}
		if s.journal == nil {
			s.journal = j
			continue
		}
		if err := j.Close(ctx); err != nil {
			return err
		}
	}
	if s.journal == nil {
		return fmt.Errorf("mailstore: %d processes have the store open", maxJournals)
	}
	return nil
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
func (s *Store) recover(ctx context.Context, j *journal.Journal, records []storedRecord) error {
	type folder struct{ home, dir string }
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
			did, err := s.restore(ctx, j, r)
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
// and its owner removed it.
func (s *Store) restore(ctx context.Context, j *journal.Journal, r *storedRecord) (bool, error) {
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

// journals says that the content goes into the journal. For a larger one,
// which would be written twice, a checkpoint is made at once.
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

func (mb *mailbox) record(m *index.Message, validity uint32, d *Delivery, withContent bool) ([]byte, error) {
	home, err := filepath.Rel(mb.store().root, mb.acct.home)
	if err != nil {
		return nil, err
	}
	b := appendGone(make([]byte, 0, 256), kindStored, home, mb.dir)
	b = appendText(b, m.Name)
	for _, v := range []uint64{uint64(validity), uint64(m.UID), uint64(m.Flags &^ maildir.Keywords)} {
		b = binary.AppendUvarint(b, v)
	}
	b = binary.AppendVarint(binary.AppendVarint(b, m.Date), int64(m.Zone))
	var keywords []string
	for _, f := range d.Flags {
		if systemBit(f) == 0 && maildir.ValidKeyword(string(f)) {
			keywords = append(keywords, string(f))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(keywords)))
	for _, k := range keywords {
		b = appendText(b, k)
	}
	if withContent {
		return append(b, 1), nil
	}
	return append(b, 0), nil
}

func appendGone(b []byte, kind byte, home, dir string) []byte {
	return appendText(appendText(append(b, journalVersion, kind), home), dir)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// journalGone makes it durable that a folder is about to be deleted or
// renamed.
func (a *account) journalGone(ctx context.Context, dir string) error {
	home, err := filepath.Rel(a.store.root, a.home)
	if err != nil {
		return err
	}
	j := a.store.journal
	if err := j.AppendLazy(appendGone(nil, kindGone, home, dir)); err != nil {
		return err
	}
	return j.Flush(ctx)
}

var errRecord = errors.New("mailstore: not a record of this version")

// decodeRecord reads a record; content is a part of b.
func decodeRecord(b []byte) (*storedRecord, error) {
	if len(b) < 2 || b[0] != journalVersion {
		return nil, errRecord
	}
	d := recordReader{b: b[2:]}
	r := &storedRecord{kind: b[1], home: d.text(), dir: d.text()}
	if r.kind == kindGone {
		return r, d.err
	}
	if r.kind != kindStored {
		return nil, errRecord
	}
	r.name = d.text()
	r.validity, r.uid, r.flags = uint32(d.number()), uint32(d.number()), maildir.Flags(d.number())
	r.date, r.zone = d.signed(), int16(d.signed())
	for range min(d.number(), maildir.MaxKeywords) {
		r.keywords = append(r.keywords, imap.Flag(d.text()))
	}
	if d.err != nil || len(d.b) == 0 || r.name == "" || r.uid == 0 {
		return nil, errRecord
	}
	r.hasContent, r.content = d.b[0] == 1, d.b[1:]
	return r, nil
}

type recordReader struct {
	b   []byte
	err error
}

func (d *recordReader) number() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errRecord
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *recordReader) signed() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errRecord
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *recordReader) text() string {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errRecord
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}
