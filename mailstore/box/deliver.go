package box

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/account"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/search"
	"toastmaster/mailstore/volume"
)

// Delivery is one message for one mailbox.
type Delivery struct {
	// ID makes the delivery idempotent: the same ID for the same account is
	// stored once, even if its owner has since moved or expunged it. "" for a
	// delivery that is never repeated. At most 64 characters of [A-Za-z0-9].
	ID string
	// Replay says that the ID may have been delivered before: look first.
	Replay bool
	// Reserved is the ID with which Store.Reserve took room for the message, where
	// that is another one.
	Reserved string
	// Folder is a mailbox name, "" for INBOX.
	Folder string
	Flags  []imap.Flag
	// Date is the INTERNALDATE.
	Date time.Time
	// Prefix goes before the content: Return-Path, Delivered-To. LF line ends.
	Prefix []byte
	// Content stays the caller's.
	Content envelope.Content
	// Own: it is the user's own doing (IMAP APPEND), to which store.quota_grace
	// does not apply.
	Own bool
	// OverQuota: it is stored and counted, however much is there.
	OverQuota bool
	// Durable: when Deliver returns nil the message is on disk (LMTP, whose
	// client forgets it then). False: it is durable after the next
	// Checkpoint, until which the caller keeps it (the queue).
	Durable bool
	// UID is set by Deliver: the message's in its folder, 0 for one that was
	// delivered before.
	UID uint32
	// needKeywords refuses the message (ErrLimit) when a keyword of Flags
	// cannot be kept; without it the message counts more.
	needKeywords bool
}

// Deliver stores one message, see mailstore.Store.Deliver.
func (mb *Box) Deliver(ctx context.Context, d *Delivery) error {
	m, _, err := mb.deliver(ctx, d)
	if m != nil {
		d.UID = m.UID
	}
	return err
}

// deliver writes the file without any lock, then makes it a message. The
// UIDVALIDITY is that of the message's UID; without the lock another process
// may make it a different one.
func (mb *Box) deliver(ctx context.Context, d *Delivery) (m *index.Message, validity uint32, err error) {
	if d.Replay && d.ID != "" {
		known, err := mb.delivered(ctx, d, func(name string) bool { return maildir.ID(name) == d.ID })
		if known {
			mb.acct.Quota.Distrust()
		}
		if known && err == nil && d.Durable {
			err = mb.vol.Checkpoint(ctx)
		}
		if err != nil || known {
			return nil, 0, volume.Err(err)
		}
	}
	in, err := mb.prepare(d)
	if err != nil {
		return nil, 0, volume.Err(err)
	}
	defer in.close()
	why := account.Saving
	if !d.Own {
		why = account.Delivering
	}
	if !d.OverQuota {
		if in.room, err = mb.acct.Quota.Reserve(ctx, cmp.Or(d.Reserved, d.ID), in.msg.Size, 1, why); err != nil {
			return nil, 0, err
		}
	}
	defer in.room.Release()
	err = mb.locked(ctx, func() (err error) {
		m, err = mb.link(d, in)
		validity = mb.st.UIDValidity
		if m != nil {
			// Others may change it as soon as the lock is given back.
			own := *m
			m = &own
		}
		return err
	})
	if err != nil {
		return nil, 0, volume.Err(err)
	}
	if d.Durable {
		err = mb.makeDurable(ctx, m, validity, d, in)
	}
	return m, validity, volume.Err(err)
}

// link gives the message its name and its UID. The locks are held.
func (mb *Box) link(d *Delivery, in *incoming) (*index.Message, error) {
	how := makeMissing
	if d.needKeywords {
		how = needMissing
	}
	marks, err := mb.flagBits(d.Flags, how)
	if err != nil {
		return nil, err
	}
	m := &in.msg
	m.Flags, m.InNew = marks.Flags, marks.Flags == 0
	m.SetRare(index.Rare{Keywords: marks.Keywords})
	if m.UID == 0 { // recovery knows it
		m.UID = mb.st.UIDNext
	}
	m.ModSeq = mb.st.ModSeq + 1
	o, err := mb.stamps.before(m.InNew, !m.InNew)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(mb.path, m.File())
	err = in.file.LinkTo(path)
	if (errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.EMLINK)) && !in.owned {
		// The content was spooled on another file system, or has as many names
		// as a file can have.
		if err = mb.writeTemp(d, in); err == nil {
			err = in.file.LinkTo(path)
		}
	}
	if err != nil {
		if errors.Is(err, fs.ErrExist) && d.ID != "" {
			return nil, nil // it is there; the next scan finds it
		}
		return nil, err
	}
	if away := mb.now().Sub(d.Date); !d.Date.IsZero() && (away > dateSlack || away < -dateSlack) {
		if err := mb.vol.FS.Chtimes(path, d.Date, d.Date); err != nil {
			return nil, errors.Join(err, mb.vol.FS.Remove(path))
		}
	}
	if err := mb.add(m, in.record, o); err != nil {
		return nil, errors.Join(err, mb.vol.FS.Remove(path))
	}
	mb.acct.Quota.Redeem(in.room, m.Size, 1)
	return m, nil
}

// dateSlack is how far the file's mtime, which is the internal date for other
// programs, may be off.
const dateSlack = time.Minute

// add logs a message whose file is in place.
func (mb *Box) add(m *index.Message, record index.Record, o own) error {
	mb.addRecord(m, record)
	mb.batch.Add(m)
	if err := mb.stamps.after(mb.st, &mb.batch, o); err != nil {
		mb.batch.Reset()
		return err
	}
	if err := mb.commitNew(); err != nil {
		return err
	}
	mb.epochs.came(m.UID)
	return nil
}

// delivered says whether a message whose name fits was delivered to this
// mailbox before. A name found missing counts as not delivered: after a power
// loss that is a delivery that never reached the disk. A file may have its
// name but not its content then, so the content is compared and completed.
func (mb *Box) delivered(ctx context.Context, d *Delivery, fits func(name string) bool) (known bool, err error) {
	err = mb.locked(ctx, func() (err error) {
		known, err = mb.deliveredLocked(ctx, d, fits)
		return err
	})
	return known, err
}

func (mb *Box) deliveredLocked(ctx context.Context, d *Delivery, fits func(name string) bool) (bool, error) {
	if err := mb.compare(ctx, true); err != nil {
		return false, err
	}
	for i := len(mb.st.Messages) - 1; i >= 0; i-- {
		if m := mb.st.Messages[i]; fits(m.Name) {
			return true, mb.writeAgain(m, d)
		}
	}
	for i := len(mb.st.Expunged) - 1; i >= 0; i-- {
		if e := &mb.st.Expunged[i]; !e.Vanished && fits(e.Name) {
			return true, nil
		}
	}
	return false, nil
}

// writeAgain writes a message that was delivered before once more: in place,
// because copies share the file, and without its times changing. A comparison
// would not do. What is read may be a page that the kernel failed to write and
// calls clean all the same, and then it is not on the disk.
func (mb *Box) writeAgain(m *index.Message, d *Delivery) error {
	if m.Rarely().Packed {
		return nil // another program has read it whole and compressed it
	}
	path := filepath.Join(mb.path, m.File())
	f, err := mb.vol.FS.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	was, err := f.Stat()
	if err == nil {
		err = writeContent(f, d)
	}
	size := int64(len(d.Prefix)) + d.Content.Size()
	if err == nil && was.Size() > size {
		err = f.Truncate(size)
	}
	if err == nil {
		err = mb.vol.FS.Chtimes(path, was.ModTime(), was.ModTime())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	mb.epochs.changed()
	mb.epochs.came(m.UID)
	return mb.rescan(m, d)
}

// rescan corrects what the index says of a message whose file was incomplete
// when it was read.
func (mb *Box) rescan(m *index.Message, d *Delivery) error {
	scanned, err := scan(&mime.Scanner{Limits: mb.limits()}, d.Prefix, d.Content)
	if err != nil {
		return err
	}
	scanned.Keys = search.AppendSortKeys(nil, scanned)
	if m.Wire == scanned.WireSize && m.Size == scanned.Size && bytes.Equal(mb.record(m), scanned.AppendBinary(nil)) {
		return nil
	}
	mb.logScanned(m, scanned)
	return mb.commit(nil)
}

// record reads a message's cache entry, nil if there is none.
func (mb *Box) record(m *index.Message) []byte {
	entry := make([]byte, m.CacheLen)
	if n, _ := mb.cache.ReadAt(entry, m.CacheOff); n < len(entry) {
		return nil
	}
	data, _ := index.Entry(entry, m.UID)
	return data
}

// incoming is a message on its way in: the file has no name yet.
type incoming struct {
	file    vfs.File
	owned   bool // close it
	msg     index.Message
	record  index.Record // of scratch
	scratch *scratch
	memory  *Memory
	// room is what the message has in the quota; nil without one.
	room *account.Reservation
}

func (in *incoming) close() {
	if in.owned {
		_ = in.file.Close() // without a name it vanishes; with one, all was written
	}
	if x := in.scratch; !x.scanner.Large() && cap(x.record.Data)+cap(x.record.Front) <= maxScratch {
		in.memory.scratches.Put(in.scratch)
	}
}

// scratch is memory that one delivery after the other uses.
type scratch struct {
	scanner mime.Scanner
	keys    []byte
	record  index.Record
}

// maxScratch is how large a record may be whose memory is kept; one of an
// ordinary message has less than a tenth of it.
const maxScratch = 16 << 10

func (m *Memory) scratch(l mime.Limits) *scratch {
	if x, ok := m.scratches.Get().(*scratch); ok {
		return x
	}
	return &scratch{scanner: mime.Scanner{Limits: l}}
}

// prepare scans and writes the content. A spooled file on our file system is
// used as it is.
func (mb *Box) prepare(d *Delivery) (*incoming, error) {
	in := &incoming{memory: mb.o.Memory, scratch: mb.o.Memory.scratch(mb.limits())}
	scanned, err := scan(&in.scratch.scanner, d.Prefix, d.Content)
	if err != nil {
		return nil, err
	}
	in.scratch.keys = search.AppendSortKeys(in.scratch.keys[:0], scanned)
	scanned.Keys = in.scratch.keys
	r := &in.scratch.record
	r.Data, r.Front = scanned.AppendBinary(r.Data[:0]), scanned.Fields.AppendBinary(r.Front[:0])
	in.record = *r
	date := d.Date
	if date.IsZero() {
		date = mb.vol.Clock.Now()
	}
	_, zone := date.Zone()
	in.msg = index.Message{
		Date: date.Unix(), Zone: int16(zone / 60),
		Size: int64(len(d.Prefix)) + d.Content.Size(), Wire: scanned.WireSize,
	}
	seconds, unique := mb.vol.UniqueName()
	if d.ID != "" {
		// The same name for the same delivery, as far as it goes.
		seconds, unique = date.Unix(), maildir.IDName(d.ID)
	}
	in.msg.Name = maildir.BaseName(seconds, unique, mb.vol.Host(), in.msg.Size, in.msg.Wire)
	if f := spooled(d); f != nil {
		in.file = f
	} else if err := mb.writeTemp(d, in); err != nil {
		return nil, err
	}
	return in, nil
}

// writeTemp writes the message to a file without a name.
func (mb *Box) writeTemp(d *Delivery, in *incoming) error {
	tmp := filepath.Join(mb.path, "tmp")
	f, err := mb.vol.FS.OpenTemp(tmp, 0o600)
	if err != nil {
		if err = mb.vol.Mend(mb.path, err); err == nil {
			f, err = mb.vol.FS.OpenTemp(tmp, 0o600)
		}
	}
	if err != nil {
		return err
	}
	if err := writeContent(f, d); err != nil {
		return errors.Join(err, f.Close())
	}
	in.file, in.owned = f, true
	return nil
}

// spooled is the file of the content when it can get its name in the Maildir:
// it holds the whole message and was not linked yet.
func spooled(d *Delivery) vfs.File {
	if len(d.Prefix) > 0 {
		return nil
	}
	c, ok := d.Content.(interface{ File() vfs.File })
	if !ok {
		return nil
	}
	return c.File()
}

// scan reads the message once. The result is the scanner's if the content lies
// in memory.
func scan(in *mime.Scanner, prefix []byte, c envelope.Content) (*mime.Message, error) {
	if b, inMemory := c.Bytes(); inMemory {
		return in.ScanBytes(prefix, b), nil
	}
	return in.Limits.Scan(io.MultiReader(bytes.NewReader(prefix), envelope.Reader(c)))
}

// writeContent writes prefix and content: one call for what is in memory,
// bounded memory for what is not.
func writeContent(f vfs.File, d *Delivery) error {
	if b, ok := d.Content.Bytes(); ok {
		_, err := f.WriteV([][]byte{d.Prefix, b}, 0)
		return err
	}
	if _, err := f.Write(d.Prefix); err != nil {
		return err
	}
	_, err := io.Copy(f, envelope.Reader(d.Content))
	return err
}

// makeDurable ends a delivery that is answered OK. The file may be written
// before the journal's sync, because whoever does not get the OK sends again;
// when the sync fails it is taken back, so that the second try is no double. One
// with an ID stays: the second try finds it by that, and would take one that was
// taken back for one that its owner has removed.
func (mb *Box) makeDurable(ctx context.Context, m *index.Message, validity uint32, d *Delivery, in *incoming) error {
	if m == nil { // found in place, delivered before
		return mb.vol.Checkpoint(ctx)
	}
	var err error
	if !mb.journals(d) {
		err = mb.syncMessage(ctx, m, in)
	}
	if err == nil {
		err = mb.journalMessage(ctx, m, validity, d)
	}
	if err == nil || d.ID != "" {
		return err
	}
	last, cancel := mb.vol.Last()
	defer cancel()
	if undo := mb.takeBack(last, m.UID); undo != nil && !errors.Is(undo, volume.ErrNotFound) {
		mb.vol.Log.Warn("taking a delivery back", "path", mb.path, "cause", undo)
	}
	return err
}

// syncMessage makes a message durable that does not go into the journal: its
// file and its name, not all that others have written to the file system. Its
// folder's own name may be as young as the message, so the first time in the
// life of mb in memory everything is synced.
func (mb *Box) syncMessage(ctx context.Context, m *index.Message, in *incoming) error {
	if !mb.settled.Load() {
		if err := mb.vol.Checkpoint(ctx); err != nil {
			return err
		}
		mb.settled.Store(true)
		return nil
	}
	select {
	case <-mb.vol.Points.Broken(): // nothing on this disk is believed any more
		return mb.vol.Points.Failure()
	default:
	}
	err := in.file.Sync()
	if err == nil && m.InNew {
		err = mb.vol.FS.SyncDir(filepath.Join(mb.path, "new"))
	}
	if err == nil {
		// Last: somebody may move it here meanwhile.
		err = mb.vol.FS.SyncDir(filepath.Join(mb.path, "cur"))
	}
	return err
}

// journals says that the content goes into the journal.
func (mb *Box) journals(d *Delivery) bool {
	b, ok := d.Content.Bytes()
	return ok && mb.o.Journal.Takes(int64(len(d.Prefix)+len(b)))
}

// journalMessage makes a message durable through the journal. It was stored
// before without a sync; its file may be on disk or not.
func (mb *Box) journalMessage(ctx context.Context, m *index.Message, validity uint32, d *Delivery) error {
	content, _ := d.Content.Bytes()
	r := &recovery.Record{
		Dir: mb.dir, Name: m.Name, Validity: validity, UID: m.UID, Flags: m.Flags, Date: m.Date, Zone: m.Zone,
		HasContent: mb.journals(d),
	}
	for _, f := range d.Flags {
		if systemBit(f) == 0 && maildir.ValidKeyword(string(f)) {
			r.Keywords = append(r.Keywords, f)
		}
	}
	return mb.acct.Records.Stored(ctx, r, func() bool { return mb.deleted }, d.Prefix, content)
}

// Append stores a message of the user's own; it is on disk when Append returns nil.
// content stays the caller's.
func (mb *Box) Append(ctx context.Context, flags []imap.Flag, date time.Time, content envelope.Content) (uidValidity, uid uint32, err error) {
	m, validity, err := mb.deliver(ctx, &Delivery{Flags: flags, Date: date, Content: content, Own: true, Durable: true, needKeywords: true})
	if err != nil {
		return 0, 0, err
	}
	return validity, m.UID, nil
}
