package mailstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

// Delivery is one message for one mailbox.
type Delivery struct {
	// ID makes the delivery idempotent: the same ID for the same account is
	// stored once, even if its owner has since moved or expunged it. "" for a
	// delivery that is never repeated. At most 64 characters of [A-Za-z0-9].
	ID string
	// Replay says that the ID may have been delivered before: look first.
	Replay bool
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

// maxID keeps file names below 255 octets.
const maxID = 64

// Deliver stores one message.
func (s *Store) Deliver(ctx context.Context, a Account, d *Delivery) error {
	if !validID(d.ID) {
		return fmt.Errorf("mailstore: delivery ID %q is not 1 to 64 letters and digits", d.ID)
	}
	acct, err := s.acquire(a)
	if err != nil {
		return err
	}
	defer s.releaseAccount(acct)
	folder := d.Folder
	if folder == "" {
		folder = maildir.Inbox
	}
	mb, err := acct.open(ctx, folder)
	if err != nil {
		return err
	}
	defer s.release(mb)
	m, _, err := mb.deliver(ctx, d)
	if m != nil {
		d.UID = m.UID
	}
	if err != nil && acct.gone.Load() {
		return ErrNotFound // removed meanwhile
	}
	return err
}

func validID(id string) bool {
	if len(id) > maxID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			return false
		}
	}
	return true
}

// deliver writes the file without any lock, then makes it a message. The
// UIDVALIDITY is that of the message's UID; without the lock another process
// may make it a different one.
func (mb *mailbox) deliver(ctx context.Context, d *Delivery) (m *index.Message, validity uint32, err error) {
	s := mb.store()
	if d.Replay && d.ID != "" {
		known, err := mb.delivered(ctx, d, func(name string) bool { return maildir.ID(name) == d.ID })
		if known {
			mb.acct.distrustUsage()
		}
		if err != nil || known {
			return nil, 0, storeError(err)
		}
	}
	in, err := s.prepare(mb, d)
	if err != nil {
		return nil, 0, storeError(err)
	}
	defer in.close()
	why := saving
	if !d.Own {
		why = delivering
	}
	if in.room, err = mb.acct.reserve(ctx, d.ID, in.msg.Size, 1, why); err != nil {
		return nil, 0, err
	}
	defer in.room.release()
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
		return nil, 0, storeError(err)
	}
	if d.Durable {
		err = mb.makeDurable(ctx, m, validity, d, in)
	}
	return m, validity, storeError(err)
}

// link gives the message its name and its UID. The locks are held.
func (mb *mailbox) link(d *Delivery, in *incoming) (*index.Message, error) {
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
	o, err := mb.before(m.InNew, !m.InNew)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(mb.path, m.File())
	err = in.file.LinkTo(path)
	if (errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.EMLINK)) && !in.owned {
		// The content was spooled on another file system, or has as many names
		// as a file can have.
		if err = mb.store().writeTemp(mb, d, in); err == nil {
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
		if err := mb.store().fs.Chtimes(path, d.Date, d.Date); err != nil {
			return nil, errors.Join(err, mb.store().fs.Remove(path))
		}
	}
	if err := mb.add(m, in.structure, o); err != nil {
		return nil, errors.Join(err, mb.store().fs.Remove(path))
	}
	mb.acct.redeem(in.room, m.Size, 1)
	return m, nil
}

// dateSlack is how far the file's mtime, which is the internal date for other
// programs, may be off.
const dateSlack = time.Minute

// add logs a message whose file is in place.
func (mb *mailbox) add(m *index.Message, structure []byte, o own) error {
	mb.addStructure(m, structure)
	mb.batch.Add(m)
	if err := mb.after(o); err != nil {
		mb.batch.Reset()
		return err
	}
	if err := mb.commitNew(); err != nil {
		return err
	}
	mb.noteAdded(m.UID)
	return nil
}

// addStructure writes the cache entry. Without one the message is scanned
// again at need, so a failure is not the message's.
func (mb *mailbox) addStructure(m *index.Message, structure []byte) {
	if len(structure) == 0 || len(structure) > index.MaxEntry {
		return
	}
	off := mb.st.CacheEnd
	n, err := mb.cache.Append(off, m.UID, structure)
	if err != nil {
		mb.store().log.Warn("writing the structure cache", "path", mb.path, "cause", err)
		return
	}
	m.CacheOff, m.CacheLen = off, n
}
