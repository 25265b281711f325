package search

import (
	"toastmaster/internal/mime"
	"toastmaster/internal/mime/text"
)

// Column is what a key looks into: a field of ENVELOPE, or the header fields of a
// name. Of each message it has the values, folded, and behind each an octet that no
// text has. Whoever has many messages may keep the texts of all. Columns are
// compared with ==.
type Column struct {
	// Part is a field of ENVELOPE; else Field is a name, in lower case.
	Part  Field
	Field string
}

// noPart is Column.Part of a Field.
const noPart Field = -1

// NeedsFields says that Append takes it from the fields that a record keeps, which an
// old one has not.
func (c *Column) NeedsFields() bool { return c.Part == noPart }

// Append appends the text of a message. ok is false when its record does not have
// the field, and the header has to be read. scratch is memory for the next call.
func (c *Column) Append(dst []byte, scratch *[]byte, m *mime.Message) (out []byte, ok bool) {
	*scratch = (*scratch)[:0]
	if c.Part != noPart {
		if *scratch, ok = envelopeString(*scratch, m.Envelope, c.Part); ok {
			dst = append(text.Fold(dst, text.DecodeWords(*scratch)), between)
		}
		return dst, true
	}
	if !m.Fields.Answers(c.Field) {
		return dst, false
	}
	filter := fieldFilter(c.Field, scratch)
	filter.All(m.Fields.Lines)
	for value := range values(*scratch) {
		dst = append(text.Fold(dst, text.DecodeWords(value)), between)
	}
	return dst, true
}
