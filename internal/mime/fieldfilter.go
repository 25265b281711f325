package mime

import (
	"bytes"

	"toastmaster/internal/header"
)

// FieldFilter passes the lines of a header that belong to wanted fields, as they
// are, to Emit. All gives it a header in memory; of one that comes in pieces a header.Pusher
// gives it each Line, and one of any size takes no memory.
type FieldFilter struct {
	// Wants says whether fields of this name are wanted; "" is what is no field.
	Wants func(name []byte) bool
	// Emit gets a line, or a piece of a long one, which is valid until it returns.
	Emit func(line []byte)

	keep bool // the present field is wanted
}

// Lines is a Pusher whose lines a FieldFilter can decide about: it holds back as much of a line as
// a name may have.
func Lines() header.Pusher { return header.Pusher{Max: maxLine} }

// All takes the whole of a header.
func (f *FieldFilter) All(b []byte) {
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			n = len(b)
		}
		f.line(b[:n])
		b = b[n:]
	}
}

// Line takes one line of Lines. It wants all there are, and never fails.
func (f *FieldFilter) Line(l header.Line) (more bool, err error) {
	switch {
	case l.Kind != header.Rest:
		f.line(l.Text)
	case f.keep:
		f.Emit(l.Text)
	}
	return true, nil
}

// line decides about a line by its name; one that begins with white space goes with the field
// above it, and the blank line is no field.
func (f *FieldFilter) line(b []byte) {
	switch {
	case b[0] == ' ' || b[0] == '\t':
	case b[0] == '\n' || len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		f.keep = false
	default:
		f.keep = f.Wants(fieldName(b))
	}
	if f.keep {
		f.Emit(b)
	}
}

// EqualName compares names of fields: ASCII has no case in them.
func EqualName(name []byte, want string) bool {
	if len(name) != len(want) {
		return false
	}
	for i, c := range name {
		if c != want[i] && lower(c) != lower(want[i]) {
			return false
		}
	}
	return true
}
