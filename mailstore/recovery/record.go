package recovery

import (
	"encoding/binary"
	"errors"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/field"
	"toastmaster/internal/journal"
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
const journalVersion = 1

// Kind is what a record tells.
type Kind byte

// The kinds, as they are on the disk.
const (
	// Stored: a message. Without content its file was synced before.
	Stored Kind = 1
	// Left: the folder was deleted or renamed; what was put there is not
	// put there again. There follow its UIDVALIDITY (0, and none in older
	// records: not known), the operation, and 1 if it was deleted.
	Left Kind = 2
	// Done: all records before a position, segment and offset as uvarint,
	// are durable in their Maildirs.
	Done Kind = 3
	// Copied, Moved: messages of this folder get another name in
	// another one. Expunged: messages of this folder are removed.
	Copied   Kind = 4
	Moved    Kind = 5
	Expunged Kind = 6
	// Undone: an operation was taken back, or needs nothing more. The
	// operation follows; home and folder are empty.
	Undone Kind = 7
	// Renamed: this folder and those below it get other names. The
	// operation and the new folder follow.
	Renamed Kind = 8
)

// maxItems bounds the messages in one record. It is no parameter: a larger operation
// has several records.
const maxItems = 10_000

// Record is what is to be done, or was. Which fields count is said with the kinds.
type Record struct {
	pos        journal.Position
	Kind       Kind
	Home, Dir  string
	Name       string
	Validity   uint32
	UID        uint32
	Flags      maildir.Flags
	Keywords   []imap.Flag
	Date       int64
	Zone       int16
	HasContent bool
	content    []byte
	done       journal.Position // Done

	// Of operations.
	operation  uint64
	more       bool // the operation goes on in the next record
	To         string
	ToValidity uint32
	Deleted    bool
	Items      []Item
}

// Item is one message of an operation: its UID and base name, and for a copy
// or a move those it gets, with what else the file cannot tell.
type Item struct {
	UID      uint32
	Name     string
	NewUID   uint32
	NewName  string
	Flags    maildir.Flags
	Keywords []imap.Flag
	Rest     string // of an odd file name, see index.Rare
	Date     int64
	Zone     int16
}

// Folder is one mailbox of one account: Home below the root, Dir (".A.B", "" for INBOX)
// below that.
type Folder struct{ Home, Dir string }

// Departure is what is told of a folder that is about to leave.
type Departure struct {
	Folder
	// Validity is its UIDVALIDITY, 0 when that is not known.
	Validity  uint32
	Deleted   bool
	operation uint64
}

func (d Departure) record() []byte {
	b := binary.AppendUvarint(appendHead(nil, Left, d.Home, d.Dir), uint64(d.Validity))
	return append(binary.AppendUvarint(b, d.operation), bit(d.Deleted))
}

// stored is the beginning of a record of Stored; the content follows if withContent.
func (r *Record) stored(withContent bool) []byte {
	b := appendHead(make([]byte, 0, 256), Stored, r.Home, r.Dir)
	b = field.AppendText(b, r.Name)
	for _, v := range []uint64{uint64(r.Validity), uint64(r.UID), uint64(r.Flags &^ maildir.Keywords)} {
		b = binary.AppendUvarint(b, v)
	}
	b = binary.AppendVarint(binary.AppendVarint(b, r.Date), int64(r.Zone))
	b = binary.AppendUvarint(b, uint64(len(r.Keywords)))
	for _, k := range r.Keywords {
		b = field.AppendText(b, k)
	}
	return append(b, bit(withContent))
}

// appendUndone is a record of Undone.
func appendUndone(operation uint64) []byte {
	return binary.AppendUvarint(appendHead(nil, Undone, "", ""), operation)
}

// appendRenamed is a record of Renamed.
func appendRenamed(f Folder, operation uint64, to string) []byte {
	return field.AppendText(binary.AppendUvarint(appendHead(nil, Renamed, f.Home, f.Dir), operation), to)
}

// head begins a record of Copied, Moved or Expunged: operation,
// 1 if it goes on in the next record, the UIDVALIDITY, and for a copy or a move
// the other folder with its own. Count and items follow.
func (r *Record) head() []byte {
	b := binary.AppendUvarint(appendHead(nil, r.Kind, r.Home, r.Dir), r.operation)
	b = binary.AppendUvarint(append(b, bit(r.more)), uint64(r.Validity))
	if r.Kind != Expunged {
		b = binary.AppendUvarint(field.AppendText(b, r.To), uint64(r.ToValidity))
	}
	return b
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// records encodes an operation, at most maxItems messages in each.
func (r *Record) records() (all [][]byte) {
	for rest := r.Items; len(rest) > 0; {
		n := min(len(rest), maxItems)
		r.more = n < len(rest)
		b := binary.AppendUvarint(r.head(), uint64(n))
		for i := range rest[:n] {
			b = rest[i].append(b, r.Kind)
		}
		all, rest = append(all, b), rest[n:]
	}
	return all
}

func (it *Item) append(b []byte, kind Kind) []byte {
	b = field.AppendText(binary.AppendUvarint(b, uint64(it.UID)), it.Name)
	if kind == Expunged {
		return b
	}
	b = field.AppendText(binary.AppendUvarint(b, uint64(it.NewUID)), it.NewName)
	b = binary.AppendUvarint(b, uint64(it.Flags&^maildir.Keywords))
	b = binary.AppendVarint(binary.AppendVarint(b, it.Date), int64(it.Zone))
	b = binary.AppendUvarint(b, uint64(len(it.Keywords)))
	for _, k := range it.Keywords {
		b = field.AppendText(b, k)
	}
	return field.AppendText(b, it.Rest)
}

func (r *Record) decodeOperation(d *field.Reader) {
	r.operation = d.Uint()
	r.more, r.Validity = d.Byte() == 1, d.Uint32()
	if r.Kind != Expunged {
		r.To, r.ToValidity = d.Text(), d.Uint32()
	}
	for range d.Count(2) {
		it := Item{UID: d.Uint32(), Name: d.Text()}
		if r.Kind != Expunged {
			it.NewUID, it.NewName = d.Uint32(), d.Text()
			it.Flags, it.Date, it.Zone = maildir.Flags(d.Uint32())&^maildir.Keywords, d.Int(), d.Int16()
			for range d.Count(1) {
				it.Keywords = append(it.Keywords, imap.Flag(d.Text()))
			}
			it.Rest = d.Text()
			if it.NewName == "" || it.NewUID == 0 {
				d.Fail()
			}
		}
		if it.Name == "" || it.UID == 0 {
			d.Fail()
		}
		r.Items = append(r.Items, it)
	}
}

func appendHead(b []byte, kind Kind, home, dir string) []byte {
	return field.AppendText(field.AppendText(append(b, journalVersion, byte(kind)), home), dir)
}

var errRecord = errors.New("mailstore: not a record of this version")

// decodeRecord reads a record; content is a part of b.
func decodeRecord(b []byte) (*Record, error) {
	if len(b) < 2 || b[0] != journalVersion {
		return nil, errRecord
	}
	d := field.NewReader(b[2:])
	if Kind(b[1]) == Done {
		r := &Record{Kind: Done, done: journal.Position{Segment: d.Uint(), Offset: d.Uint32()}}
		if d.Bad() {
			return nil, errRecord
		}
		return r, nil
	}
	r := &Record{Kind: Kind(b[1]), Home: d.Text(), Dir: d.Text()}
	switch r.Kind {
	case Left:
		if d.Len() > 0 {
			r.Validity = d.Uint32()
		}
		if d.Len() > 0 {
			r.operation, r.Deleted = d.Uint(), d.Byte() == 1
		}
		return r.unless(d.Bad())
	case Undone:
		r.operation = d.Uint()
		return r.unless(d.Bad())
	case Renamed:
		r.operation, r.To = d.Uint(), d.Text()
		return r.unless(d.Bad())
	case Copied, Moved, Expunged:
		r.decodeOperation(&d)
		return r.unless(d.Bad())
	case Stored:
	default:
		return nil, errRecord
	}
	r.Name = d.Text()
	r.Validity, r.UID, r.Flags = d.Uint32(), d.Uint32(), maildir.Flags(d.Uint32())&^maildir.Keywords
	r.Date, r.Zone = d.Int(), d.Int16()
	for range d.Count(1) {
		r.Keywords = append(r.Keywords, imap.Flag(d.Text()))
	}
	r.HasContent, r.content = d.Byte() == 1, d.Rest()
	return r.unless(d.Bad() || r.Name == "" || r.UID == 0)
}

func (r *Record) unless(bad bool) (*Record, error) {
	if bad {
		return nil, errRecord
	}
	return r, nil
}
