package mailstore

import (
	"encoding/binary"
	"errors"
	"path/filepath"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

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

var errRecord = errors.New("mailstore: not a record of this version")

// decodeRecord reads a record; content is a part of b.
func decodeRecord(b []byte) (*storedRecord, error) {
	if len(b) < 2 || b[0] != journalVersion {
		return nil, errRecord
	}
	d := recordReader{b: b[2:]}
	r := &storedRecord{kind: b[1], home: d.text(), dir: d.text()}
	if r.kind == kindGone {
		if d.err == nil && len(d.b) > 0 {
			r.validity = uint32(d.number())
		}
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
