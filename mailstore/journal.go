package mailstore

import (
	"context"
	"encoding/binary"
	"path/filepath"

	"github.com/emersion/go-imap/v2"

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
	// kindDone: all records before a position, segment and offset as uvarint,
	// are durable in their Maildirs.
	kindDone = 3
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
	done       journal.Position // kindDone
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
	return a.store.appendGone(ctx, folder{home, dir}, validity)
}

// appendGone writes a record of kindGone and drops what was to be finished.
func (s *Store) appendGone(ctx context.Context, f folder, validity uint32) error {
	if err := s.journal.AppendLazy(binary.AppendUvarint(appendGone(nil, kindGone, f.home, f.dir), uint64(validity))); err != nil {
		return err
	}
	if err := s.journal.Flush(ctx); err != nil {
		return err
	}
	s.unfinished.forget(f)
	return nil
}
