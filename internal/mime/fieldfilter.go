package mime

import "bytes"

// FieldFilter passes the lines of a header that belong to wanted fields, as they
// are, to Emit. A header of any size takes no memory.
type FieldFilter struct {
	// Wants says whether fields of this name are wanted.
	Wants func(name []byte) bool
	Emit  func(line []byte)

	keep bool // the present field is wanted
	mid  bool // within a line
}

// Step handles the lines of b and returns how many octets they were. A line whose
// end is not in b is left to be given again, unless force is set and nothing else
// was done: nothing more follows, or b can hold no more.
func (f *FieldFilter) Step(b []byte, force bool) int {
	used := 0
	for used < len(b) {
		rest := b[used:]
		n := bytes.IndexByte(rest, '\n') + 1
		whole := n > 0
		if !whole {
			if used > 0 && !f.mid {
				return used
			}
			n = len(rest)
			if !force && !f.mid {
				return used
			}
		}
		f.line(rest[:n], whole)
		used += n
	}
	return used
}

// All handles all lines of b, which nothing follows, also one without an end.
func (f *FieldFilter) All(b []byte) {
	for len(b) > 0 {
		b = b[f.Step(b, true):]
	}
}

func (f *FieldFilter) line(line []byte, whole bool) {
	if !f.mid {
		f.begin(line)
	}
	if f.keep {
		f.Emit(line)
	}
	f.mid = !whole
}

// begin decides about a line by its name; a continuation goes with its field.
func (f *FieldFilter) begin(line []byte) {
	if line[0] == ' ' || line[0] == '\t' {
		return
	}
	f.keep = false
	if line[0] == '\n' || len(line) > 1 && line[0] == '\r' && line[1] == '\n' {
		return // the blank line is no field
	}
	f.keep = f.Wants(fieldName(line))
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
