package mailstore

import (
	"encoding/binary"
	"errors"
	"path/filepath"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/field"
	"toastmaster/internal/journal"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

func (mb *mailbox) record(m *index.Message, validity uint32, d *Delivery, withContent bool) ([]byte, error) {
	home, err := filepath.Rel(mb.store().root, mb.acct.home)
	if err != nil {
		return nil, err
	}
	b := appendGone(make([]byte, 0, 256), kindStored, home, mb.dir)
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
		return append(b, 1), nil
	}
	return append(b, 0), nil
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
		if d.Bad() {
			return nil, errRecord
		}
		return r, nil
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
	if d.Bad() || r.name == "" || r.uid == 0 {
		return nil, errRecord
	}
	return r, nil
}
