package box

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
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

// Append stores a message of the user's own; it is on disk when Append returns nil.
// content stays the caller's.
func (mb *Box) Append(ctx context.Context, flags []imap.Flag, date time.Time, content envelope.Content) (uidValidity, uid uint32, err error) {
	m, validity, err := mb.deliver(ctx, &Delivery{Flags: flags, Date: date, Content: content, Own: true, Durable: true, needKeywords: true})
	if err != nil {
		return 0, 0, err
	}
	return validity, m.UID, nil
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
	in, err := newIncoming(mb, d)
	if errors.Is(err, fs.ErrNotExist) {
		// Its folder has gone, and nobody has told; unless it is the whole store.
		if lost := mb.vol.Present(); lost != nil {
			return nil, 0, volume.Err(lost)
		}
		err = cmp.Or(mb.Refresh(ctx), mb.locked(ctx, func() error { return nil }), err)
	}
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
	defer in.room.Cancel()
	err = mb.locked(ctx, func() (err error) {
		m, err = in.link(d)
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
	scanned, err := scan(&mime.Scanner{Limits: mb.records.limits()}, d.Prefix, d.Content)
	if err != nil {
		return err
	}
	scanned.Keys = search.AppendSortKeys(nil, scanned)
	if m.Wire == scanned.WireSize && m.Size == scanned.Size && bytes.Equal(mb.records.of(m), scanned.AppendBinary(nil)) {
		return nil
	}
	mb.records.logScanned(mb.st, mb.batch, m, scanned)
	return mb.commit(nil)
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

// Delivered lists the IDs of the deliveries that the mailbox has had, as far as they are
// remembered.
func (mb *Box) Delivered(ctx context.Context) (ids []string, err error) {
	if err := mb.Refresh(ctx); err != nil {
		return nil, err
	}
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if mb.dead {
		return nil, nil
	}
	for _, m := range mb.st.Messages {
		if id := maildir.ID(m.Name); id != "" {
			ids = append(ids, id)
		}
	}
	for i := range mb.st.Expunged {
		e := &mb.st.Expunged[i]
		if id := maildir.ID(e.Name); id != "" && !e.Vanished {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
