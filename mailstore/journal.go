package mailstore

import (
	"context"
	"encoding/binary"

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
	// put there again. There follow its UIDVALIDITY (0, and none in older
	// records: not known), the operation, and 1 if it was deleted.
	kindGone = 2
	// kindDone: all records before a position, segment and offset as uvarint,
	// are durable in their Maildirs.
	kindDone = 3
	// kindCopied, kindMoved: messages of this folder get another name in
	// another one, see transfer. kindExpunged: messages of this folder are
	// removed, see expungeRecords.
	kindCopied   = 4
	kindMoved    = 5
	kindExpunged = 6
	// kindUndone: an operation was taken back, or needs nothing more. The
	// operation follows; home and folder are empty.
	kindUndone = 7
	// kindRenamed: this folder and those below it get other names. The
	// operation and the new folder follow.
	kindRenamed = 8
)

// maxItems bounds the messages in one record. It is no parameter: a larger operation
// has several records.
const maxItems = 10_000

// maxJournals bounds the processes on one store. It is no parameter: a store has one
// process, and for moments two.
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

	// Of operations.
	operation uint64
	more      bool // the operation goes on in the next record
	to        string
	toVal     uint32
	deleted   bool
	items     []item
}

// item is one message of an operation: its UID and base name, and for a copy
// or a move those it gets, with what else the file cannot tell.
type item struct {
	uid      uint32
	name     string
	newUID   uint32
	newName  string
	flags    maildir.Flags
	keywords []imap.Flag
	rest     string // of an odd file name, see index.Rare
	date     int64
	zone     int16
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
	head := mb.record(m, validity, d, inMemory)
	mb.acct.journaling.RLock()
	defer mb.acct.journaling.RUnlock()
	if mb.deleted || mb.acct.gone.Load() {
		return ErrNotFound
	}
	// If it was renamed the message went along, durable since the checkpoint
	// before, and no recovery follows the record.
	var pos journal.Position
	var err error
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
func (mb *mailbox) leave(ctx context.Context, deleted bool, move func() error) error {
	mb.acct.journaling.Lock()
	defer mb.acct.journaling.Unlock()
	o := mb.acct.newOperation()
	if err := mb.acct.store.appendGone(ctx, departure{folder{mb.acct.relHome(), mb.dir}, mb.st.UIDValidity, o.id, deleted}); err != nil {
		return err
	}
	if err := move(); err != nil {
		o.undone()
		return err
	}
	return nil
}

// departure is what is told of a folder that is about to leave.
type departure struct {
	folder
	validity  uint32
	operation uint64
	deleted   bool
}

func appendDeparture(d departure) []byte {
	b := binary.AppendUvarint(appendGone(nil, kindGone, d.home, d.dir), uint64(d.validity))
	return append(binary.AppendUvarint(b, d.operation), bit(d.deleted))
}

// appendGone writes a record of kindGone and drops what was to be finished.
// Where it is of an account, a.journaling is held.
func (s *Store) appendGone(ctx context.Context, d departure) error {
	if err := s.journal.AppendLazy(appendDeparture(d)); err != nil {
		return err
	}
	if err := s.journal.Flush(ctx); err != nil {
		return err
	}
	s.unfinished.forget(d.folder)
	return nil
}
