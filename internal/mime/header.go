package mime

import (
	"bytes"

	"toastmaster/internal/header"
)

// field is a header field that ENVELOPE or BODYSTRUCTURE wants.
type field uint8

const (
	noField field = iota
	// Those of ENVELOPE, in its order.
	fieldDate
	fieldSubject
	fieldFrom
	fieldSender
	fieldReplyTo
	fieldTo
	fieldCc
	fieldBcc
	fieldInReplyTo
	fieldMessageID
	// Those of BODYSTRUCTURE.
	fieldType
	fieldID
	fieldDescription
	fieldEncoding
	fieldMD5
	fieldDisposition
	fieldLanguage
	fieldLocation
)

var fieldNames = [...]string{
	fieldDate: "date", fieldSubject: "subject", fieldFrom: "from", fieldSender: "sender",
	fieldReplyTo: "reply-to", fieldTo: "to", fieldCc: "cc", fieldBcc: "bcc",
	fieldInReplyTo: "in-reply-to", fieldMessageID: "message-id",
	fieldType: "content-type", fieldID: "content-id", fieldDescription: "content-description",
	fieldEncoding: "content-transfer-encoding", fieldMD5: "content-md5",
	fieldDisposition: "content-disposition", fieldLanguage: "content-language", fieldLocation: "content-location",
}

// byLength lists the fields whose names have that many letters, so that most
// lines of a header are dismissed by their length and first letter.
var byLength = func() (t [26][]field) {
	for f, name := range fieldNames {
		t[len(name)] = append(t[len(name)], field(f))
	}
	t[0] = nil
	return t
}()

// fieldByName knows the field of a name in any case.
func fieldByName(name []byte) field {
	if len(name) >= len(byLength) {
		return noField
	}
	for _, f := range byLength[len(name)] {
		want := fieldNames[f]
		if want[0] == name[0]|0x20 && want[len(want)-1] == name[len(name)-1]|0x20 && equalFold(name, want) {
			return f
		}
	}
	return noField
}

// equalFold compares ASCII; want is in lower case.
func equalFold(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i := range b {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

// fieldRef is one occurrence of a field: its unfolded text in fieldSet.raw.
type fieldRef struct {
	id       field
	from, to int
}

// fieldSet collects the fields of one header.
type fieldSet struct {
	raw      []byte
	refs     []fieldRef
	envelope bool // ENVELOPE's fields are wanted, too
	current  bool // the last ref is still growing
}

// maxRefs bounds the occurrences kept of one header. It is no parameter: a message
// with more is somebody's attack, and what is beyond is as if it were not there.
const maxRefs = 10_000

func (f *fieldSet) reset(envelope bool) {
	f.raw, f.refs, f.current, f.envelope = f.raw[:0], f.refs[:0], false, envelope
}

// begin starts a field with the first line of it; limit bounds all text kept.
func (f *fieldSet) begin(line []byte, limit int) {
	f.current = false
	name, rest, ok := header.Cut(line)
	if !ok {
		return
	}
	id := fieldByName(name)
	if id == noField || (id <= fieldMessageID && !f.envelope) || len(f.refs) >= maxRefs {
		return
	}
	f.refs = append(f.refs, fieldRef{id, len(f.raw), len(f.raw)})
	f.current = true
	f.add(bytes.TrimLeft(rest, " \t"), limit)
}

// fold adds a continuation line: the fold and the white space about it is one
// space.
func (f *fieldSet) fold(line []byte, limit int) {
	if !f.current {
		return
	}
	r := &f.refs[len(f.refs)-1]
	f.raw = bytes.TrimRight(f.raw, " \t")
	if len(f.raw) < r.from {
		f.raw = f.raw[:r.from]
	}
	if len(f.raw) > r.from {
		f.raw = append(f.raw, ' ')
	}
	f.add(bytes.TrimLeft(line, " \t"), limit)
}

// add appends text to the present field.
func (f *fieldSet) add(text []byte, limit int) {
	if !f.current {
		return
	}
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
		if n > 1 && text[n-2] == '\r' {
			text = text[:n-2]
		}
	}
	if room := limit - len(f.raw); len(text) > room {
		text = text[:max(room, 0)]
	}
	f.raw = append(f.raw, text...)
	f.refs[len(f.refs)-1].to = len(f.raw)
}

// last returns the last occurrence of a field; ok is false when there is none.
func (f *fieldSet) last(id field) (text []byte, ok bool) {
	for i := len(f.refs) - 1; i >= 0; i-- {
		if f.refs[i].id == id {
			return f.text(i), true
		}
	}
	return nil, false
}

// first returns the first occurrence of a field: of Content-Type and its like
// Dovecot believes the first.
func (f *fieldSet) first(id field) (text []byte, ok bool) {
	for i := range f.refs {
		if f.refs[i].id == id {
			return f.text(i), true
		}
	}
	return nil, false
}

func (f *fieldSet) text(i int) []byte {
	return bytes.TrimRight(f.raw[f.refs[i].from:f.refs[i].to], " \t")
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// headerLine handles one line of a header.
func (s *scanner) headerLine(b []byte, force bool) int {
	eol := bytes.IndexByte(b, '\n')
	if eol < 0 && !force {
		return 0
	}
	if s.active > 0 && b[0] == '-' {
		if n, done := s.dashLine(b, true); done {
			return n
		}
	}
	line := b
	if eol >= 0 {
		line = b[:eol+1]
	}
	if eol == 0 || (eol == 1 && b[0] == '\r') {
		s.advance(line)
		s.endHeader(true)
		return len(line)
	}
	if isSpace(b[0]) {
		s.fields.fold(line, s.limits.MaxText)
		s.keeper.more(line)
	} else {
		s.fields.begin(line, s.limits.MaxText)
		s.keeper.begin(line)
	}
	s.advance(line)
	s.midLine = eol < 0
	return len(line)
}

// endHeader closes the header at pos. With more false the content is over,
// too, so no child is begun.
func (s *scanner) endHeader(more bool) {
	s.inHeader, s.keeper.on = false, false
	o := &s.stack[len(s.stack)-1]
	p := &s.m.Parts[o.part]
	p.Body = s.pos.off
	p.HeaderWire = s.pos.off + s.pos.crs - s.start.off - s.start.crs
	o.body = s.pos
	s.describe(o, p)
	if p.Kind != Rfc822 {
		return
	}
	s.push(o.part)
	if !more {
		s.endHeader(false)
	}
}
