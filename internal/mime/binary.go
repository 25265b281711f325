package mime

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrRecord says that octets are no record of this version. Scan again.
var ErrRecord = errors.New("mime: not a record of this version")

// The versions, the first octet of a record. It grows with every change of
// what Scan answers, so that old caches are made anew, and of the form. What is
// added to the form is a section, which needs no new version.
const (
	// plainVersion ends with the parts: no sections.
	plainVersion  = 2
	recordVersion = 3
)

// The sections behind the parts, each with its tag, its length, and so many octets.
// A reader passes over those that it does not know.
const (
	// keysSection is Message.Keys.
	keysSection = 1
	// fieldsSection is the length of what Fields.AppendBinary makes, which lies
	// apart: nobody who lists a mailbox reads it.
	fieldsSection = 2
)

// The bits of a part's first octet.
const (
	kindBits      = 0x03
	encodingShift = 2
	textBit       = 0x10
)

// Readable says whether a record is of a version that Parse reads. One that is not
// says nothing: scan the message again.
func Readable(record []byte) bool {
	return len(record) > 0 && (record[0] == recordVersion || record[0] == plainVersion)
}

// Whole says that the record, with the fields that lie apart, has all that a scan
// finds today. Who needs more than there is calls [Message.TakeHeader] and writes the
// record anew.
func (m *Message) Whole() bool { return m.Keys != nil && m.FieldsSize() > 0 }

// FieldsSize is the length of what Fields.AppendBinary makes of the fields, whether
// they were read or only the record that tells of them; 0 when there are none.
func (m *Message) FieldsSize() int {
	if !m.Fields.Known() {
		return m.apart
	}
	return m.Fields.size()
}

// AppendBinary appends the record that the index keeps. Its form: version,
// then as unsigned varints Size, WireSize-Size, the lengths of Envelope and
// Structure, the number of cuts and of parts; Envelope and Structure; the cuts,
// each as the difference to the one before; the parts, each as an octet of
// flags, the distance to its parent, the distance of Start to the part before,
// the lengths of header and body, by how much each is longer on the wire,
// Lines, and for a text the length of Charset and Charset; the sections.
func (m *Message) AppendBinary(dst []byte) []byte {
	dst = append(dst, recordVersion)
	dst = binary.AppendUvarint(dst, uint64(m.Size))
	dst = binary.AppendUvarint(dst, uint64(m.WireSize-m.Size))
	dst = binary.AppendUvarint(dst, uint64(len(m.Envelope)))
	dst = binary.AppendUvarint(dst, uint64(len(m.Structure)))
	dst = binary.AppendUvarint(dst, uint64(len(m.cuts)))
	dst = binary.AppendUvarint(dst, uint64(len(m.Parts)))
	dst = append(dst, m.Envelope...)
	dst = append(dst, m.Structure...)
	before := uint32(0)
	for _, c := range m.cuts {
		dst = binary.AppendUvarint(dst, uint64(c-before))
		before = c
	}
	start := int64(0)
	for i := range m.Parts {
		dst = m.Parts[i].appendBinary(dst, int32(i), start)
		start = m.Parts[i].Start
	}
	if m.Keys != nil {
		dst = binary.AppendUvarint(append(dst, keysSection), uint64(len(m.Keys)))
		dst = append(dst, m.Keys...)
	}
	if n := m.FieldsSize(); n > 0 {
		var size [binary.MaxVarintLen64]byte
		k := binary.PutUvarint(size[:], uint64(n))
		dst = append(append(dst, fieldsSection, byte(k)), size[:k]...)
	}
	return dst
}

// AppendBinary appends the fields as they lie apart from the record: an octet 1 if
// some names are missing among the hashes, else 0; the length of the hashes, the
// hashes, and the lines.
func (f *Fields) AppendBinary(dst []byte) []byte {
	if !f.Known() {
		return dst
	}
	dst = append(dst, byte(f.state-kept))
	dst = binary.AppendUvarint(dst, uint64(len(f.others)))
	return append(append(dst, f.others...), f.Lines...)
}

// size is the length of what AppendBinary makes.
func (f *Fields) size() int {
	n := 2
	if len(f.others) >= 0x80 {
		n++
	}
	return n + len(f.others) + len(f.Lines)
}

// Parse reads what AppendBinary wrote; the fields point into b. The error is
// ErrRecord.
func (f *Fields) Parse(b []byte) error {
	r := recordReader{b: b}
	some := r.number(1)
	others := r.octets(r.number(2 * maxOthers))
	if *f = (Fields{Lines: r.b, others: others, state: kept + fieldsState(some)}); r.bad || len(others)%2 != 0 {
		*f = Fields{}
		return ErrRecord
	}
	return nil
}

func (p *Part) appendBinary(dst []byte, index int32, start int64) []byte {
	flags := byte(p.Kind) | byte(p.Encoding)<<encodingShift
	if p.Text {
		flags |= textBit
	}
	dst = append(dst, flags)
	if index > 0 {
		dst = binary.AppendUvarint(dst, uint64(index-p.Parent))
	}
	dst = binary.AppendUvarint(dst, uint64(p.Start-start))
	dst = binary.AppendUvarint(dst, uint64(p.Body-p.Start))
	dst = binary.AppendUvarint(dst, uint64(p.End-p.Body))
	dst = binary.AppendUvarint(dst, uint64(p.HeaderWire-(p.Body-p.Start)))
	dst = binary.AppendUvarint(dst, uint64(p.BodyWire-(p.End-p.Body)))
	dst = binary.AppendUvarint(dst, uint64(p.Lines))
	if p.Text {
		dst = binary.AppendUvarint(dst, uint64(len(p.Charset)))
		dst = append(dst, p.Charset...)
	}
	return dst
}

// recordReader reads varints; after the first mistake all are zero.
type recordReader struct {
	b   []byte
	bad bool
}

func (r *recordReader) number(limit int64) int64 {
	// Most numbers are below 128.
	if len(r.b) > 0 && r.b[0] < 0x80 && int64(r.b[0]) <= limit {
		n := int64(r.b[0])
		r.b = r.b[1:]
		return n
	}
	n, size := binary.Uvarint(r.b)
	if size <= 0 || limit < 0 || n > uint64(limit) {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return int64(n)
}

func (r *recordReader) octets(n int64) []byte {
	if n > int64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// Parse reads a record into m, whose slices it uses again. Envelope, Structure,
// Charset and Keys point into b; Fields lie apart and are to be read by themselves.
// The error is ErrRecord; m is unspecified then.
func (m *Message) Parse(b []byte) error {
	r, parts, err := m.parseListing(b)
	if err != nil {
		return err
	}
	sections, start := b[0] != plainVersion, int64(0)
	for i := int32(0); int64(i) < parts && !r.bad; i++ {
		m.Parts = append(m.Parts, r.part(i, start, m.Size))
		start = m.Parts[i].Start
	}
	for sections && len(r.b) > 0 {
		m.section(&r)
	}
	if r.bad || len(r.b) > 0 {
		return ErrRecord
	}
	return m.link()
}

// ParseListing is Parse for who lists messages and does not look into them: m gets the
// sizes, Envelope and Structure, and has no Parts, Fields or Keys. They are most of the
// work of Parse.
func (m *Message) ParseListing(b []byte) error {
	_, _, err := m.parseListing(b)
	return err
}

// parseListing reads what is before the parts. The rest of the record is for who goes on.
func (m *Message) parseListing(b []byte) (r recordReader, parts int64, err error) {
	if !Readable(b) {
		return r, 0, ErrRecord
	}
	r = recordReader{b: b[1:]}
	m.Size = r.number(math.MaxInt64 / 2)
	m.WireSize = m.Size + r.number(m.Size)
	envelope := r.number(int64(len(r.b)))
	structure := r.number(int64(len(r.b)))
	cuts := r.number(int64(len(r.b)))
	parts = r.number(int64(len(r.b)))
	m.Envelope = r.octets(envelope)
	m.Structure = r.octets(structure)
	m.cuts = m.cuts[:0]
	at := int64(0)
	for range cuts {
		at += r.number(structure - at)
		m.cuts = append(m.cuts, uint32(at))
	}
	m.Parts, m.Keys, m.Fields, m.apart = m.Parts[:0], nil, Fields{}, 0
	if r.bad || parts == 0 || cuts%2 != 0 {
		return r, 0, ErrRecord
	}
	return r, parts, nil
}

func (m *Message) section(r *recordReader) {
	tag := r.number(math.MaxInt64 / 2)
	data := r.octets(r.number(int64(len(r.b))))
	switch tag {
	case keysSection:
		m.Keys = data
	case fieldsSection:
		s := recordReader{b: data}
		m.apart = int(s.number(maxFields))
		r.bad = r.bad || s.bad || len(s.b) > 0
	}
}

// maxFields is longer than fields can be.
const maxFields = 1 << 30

// TakeHeader gives m, whose record is older, what it lacks from a scan of its
// header.
func (m *Message) TakeHeader(scanned *Message) { m.Fields, m.Keys = scanned.Fields, scanned.Keys }

func (r *recordReader) part(index int32, start, size int64) Part {
	var flags byte
	if b := r.octets(1); len(b) == 1 {
		flags = b[0]
	}
	p := Part{Parent: None, Child: None, Next: None}
	p.Kind, p.Encoding, p.Text = Kind(flags&kindBits), Encoding(flags>>encodingShift&3), flags&textBit != 0
	if p.Kind > Rfc822 || p.Encoding > Base64 || flags > 2*textBit {
		r.bad = true
	}
	if index > 0 {
		p.Parent = index - int32(r.number(int64(index)))
	}
	p.Start = start + r.number(size-start)
	p.Body = p.Start + r.number(size-p.Start)
	p.End = p.Body + r.number(size-p.Body)
	p.HeaderWire = p.Body - p.Start + r.number(p.Body-p.Start)
	p.BodyWire = p.End - p.Body + r.number(p.End-p.Body)
	p.Lines = r.number(p.End - p.Body)
	if p.Text {
		p.Charset = r.octets(r.number(maxCharset))
	}
	return p
}

// link restores Child and Next from Parent.
func (m *Message) link() error {
	for i := int32(len(m.Parts)) - 1; i > 0; i-- {
		parent := m.Parts[i].Parent
		if parent < 0 || parent >= i || m.Parts[parent].Kind == Leaf {
			return ErrRecord
		}
		m.Parts[i].Next = m.Parts[parent].Child
		m.Parts[parent].Child = i
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.Kind == Rfc822 && (p.Child == None || m.Parts[p.Child].Next != None) {
			return ErrRecord
		}
	}
	return nil
}
