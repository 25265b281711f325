package mailstore

import (
	"encoding/binary"
	"errors"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/field"
	"toastmaster/internal/journal"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

func (mb *mailbox) record(m *index.Message, validity uint32, d *Delivery, withContent bool) []byte {
	b := appendGone(make([]byte, 0, 256), kindStored, mb.acct.relHome(), mb.dir)
	b = field.AppendText(b, m.Name)
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
		b = field.AppendText(b, k)
	}
	if withContent {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendUndone is a record of kindUndone.
func appendUndone(operation uint64) []byte {
	return binary.AppendUvarint(appendGone(nil, kindUndone, "", ""), operation)
}

// appendRenamed is a record of kindRenamed.
func appendRenamed(f folder, operation uint64, to string) []byte {
	return field.AppendText(binary.AppendUvarint(appendGone(nil, kindRenamed, f.home, f.dir), operation), to)
}

// head begins a record of kindCopied, kindMoved or kindExpunged: operation,
// 1 if it goes on in the next record, the UIDVALIDITY, and for a copy or a move
// the other folder with its own. Count and items follow.
func (r *storedRecord) head() []byte {
	b := binary.AppendUvarint(appendGone(nil, r.kind, r.home, r.dir), r.operation)
	b = binary.AppendUvarint(append(b, bit(r.more)), uint64(r.validity))
	if r.kind != kindExpunged {
		b = binary.AppendUvarint(field.AppendText(b, r.to), uint64(r.toVal))
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
func (r *storedRecord) records() (all [][]byte) {
	for rest := r.items; len(rest) > 0; {
		n := min(len(rest), maxItems)
		r.more = n < len(rest)
		b := binary.AppendUvarint(r.head(), uint64(n))
		for i := range rest[:n] {
			b = rest[i].append(b, r.kind)
		}
		all, rest = append(all, b), rest[n:]
	}
	return all
}

func (it *item) append(b []byte, kind byte) []byte {
	b = field.AppendText(binary.AppendUvarint(b, uint64(it.uid)), it.name)
	if kind == kindExpunged {
		return b
	}
	b = field.AppendText(binary.AppendUvarint(b, uint64(it.newUID)), it.newName)
	b = binary.AppendUvarint(b, uint64(it.flags&^maildir.Keywords))
	b = binary.AppendVarint(binary.AppendVarint(b, it.date), int64(it.zone))
	b = binary.AppendUvarint(b, uint64(len(it.keywords)))
	for _, k := range it.keywords {
		b = field.AppendText(b, k)
	}
	return field.AppendText(b, it.rest)
}

func (r *storedRecord) decodeOperation(d *field.Reader) {
	r.operation = d.Uint()
	r.more, r.validity = d.Byte() == 1, d.Uint32()
	if r.kind != kindExpunged {
		r.to, r.toVal = d.Text(), d.Uint32()
	}
	for range d.Count(2) {
		it := item{uid: d.Uint32(), name: d.Text()}
		if r.kind != kindExpunged {
			it.newUID, it.newName = d.Uint32(), d.Text()
			it.flags, it.date, it.zone = maildir.Flags(d.Uint32()), d.Int(), int16(d.Int())
			for range d.Count(1) {
				it.keywords = append(it.keywords, imap.Flag(d.Text()))
			}
			it.rest = d.Text()
			if it.newName == "" || it.newUID == 0 {
				d.Fail()
			}
		}
		if it.name == "" || it.uid == 0 {
			d.Fail()
		}
		r.items = append(r.items, it)
	}
}

func appendGone(b []byte, kind byte, home, dir string) []byte {
	return field.AppendText(field.AppendText(append(b, journalVersion, kind), home), dir)
}

var errRecord = errors.New("mailstore: not a record of this version")

// decodeRecord reads a record; content is a part of b.
func decodeRecord(b []byte) (*storedRecord, error) {
	if len(b) < 2 || b[0] != journalVersion {
		return nil, errRecord
	}
	d := field.NewReader(b[2:])
	if b[1] == kindDone {
		r := &storedRecord{kind: kindDone, done: journal.Position{Segment: d.Uint(), Offset: d.Uint32()}}
		if d.Bad() {
			return nil, errRecord
		}
		return r, nil
	}
	r := &storedRecord{kind: b[1], home: d.Text(), dir: d.Text()}
	switch r.kind {
	case kindGone:
		if d.Len() > 0 {
			r.validity = d.Uint32()
		}
		if d.Len() > 0 {
			r.operation, r.deleted = d.Uint(), d.Byte() == 1
		}
		return r.unless(d.Bad())
	case kindUndone:
		r.operation = d.Uint()
		return r.unless(d.Bad())
	case kindRenamed:
		r.operation, r.to = d.Uint(), d.Text()
		return r.unless(d.Bad())
	case kindCopied, kindMoved, kindExpunged:
		r.decodeOperation(&d)
		return r.unless(d.Bad())
	case kindStored:
	default:
		return nil, errRecord
	}
	r.name = d.Text()
	r.validity, r.uid, r.flags = d.Uint32(), d.Uint32(), maildir.Flags(d.Uint32())
	r.date, r.zone = d.Int(), int16(d.Int())
	for range d.Count(1) {
		r.keywords = append(r.keywords, imap.Flag(d.Text()))
	}
	r.hasContent, r.content = d.Byte() == 1, d.Rest()
	return r.unless(d.Bad() || r.name == "" || r.uid == 0)
}

func (r *storedRecord) unless(bad bool) (*storedRecord, error) {
	if bad {
		return nil, errRecord
	}
	return r, nil
}
