package imapd

import (
	"bytes"
	"errors"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/wire"
)

// writeFields writes HEADER.FIELDS or HEADER.FIELDS.NOT of a header: the
// fields that are wanted, in their order, and a blank line; of a partial fetch
// the piece that is asked for. It goes through the header twice, once for the
// length and once for the text, so a header of any size takes no memory.
func (s *session) writeFields(content envelope.Content, r mime.Range, sec *section) error {
	if n := r.To - r.From; n <= wire.BlockSize {
		// An ordinary header is read once.
		block := s.c.blocks.Get()
		defer s.c.blocks.Put(block)
		if got, err := content.ReadAt((*block)[:n], r.From); int64(got) < n {
			return errors.Join(errChanged, err)
		}
		content, r = envelope.Memory((*block)[:n]), mime.Range{To: n}
	}
	var measure wire.Sizer
	if err := s.c.filter(content, r, sec, measure.Add); err != nil {
		return err
	}
	offset, length := sec.piece(measure.Wire + 2)
	s.c.announce(length)
	w := wire.NewLiteralWriter(s.c.Out)
	if sec.partial {
		w.Window(offset, length)
	}
	write := writeTo(w)
	err := s.c.filter(content, r, sec, func(b []byte) { write(b) })
	w.Resume(wire.Mark{}, false) // a CR that ends the header is none of the blank line's
	write([]byte{'\n'})
	return s.sentAll(w.Sent(), length, err)
}

// fieldFilter passes the lines of a header to emit that belong to wanted
// fields.
type fieldFilter struct {
	sec  *section
	emit func([]byte)
	keep bool // the present field is wanted
	mid  bool // within a line
}

// filter runs a header through a fieldFilter.
func (c *conn) filter(content envelope.Content, r mime.Range, sec *section, emit func([]byte)) error {
	f := fieldFilter{sec: sec, emit: emit}
	from := r.From
	for from < r.To {
		used := 0
		err := c.pieces(content, from, r.To, func(b []byte) bool {
			last := from+int64(len(b)) == r.To
			used = f.step(b, last || len(b) == wire.BlockSize)
			return false
		})
		if err != nil {
			return err
		}
		if used == 0 {
			return errChanged
		}
		from += int64(used)
	}
	return nil
}

// step handles the lines of b. A line whose end is not in b is left, unless
// force is set and nothing else was done.
func (f *fieldFilter) step(b []byte, force bool) int {
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

func (f *fieldFilter) line(line []byte, whole bool) {
	if !f.mid {
		f.begin(line)
	}
	if f.keep {
		f.emit(line)
	}
	f.mid = !whole
}

// begin decides about a line by its name; a continuation goes with its field.
func (f *fieldFilter) begin(line []byte) {
	if line[0] == ' ' || line[0] == '\t' {
		return
	}
	f.keep = false
	if line[0] == '\n' || len(line) > 1 && line[0] == '\r' && line[1] == '\n' {
		return // the blank line is written by itself
	}
	colon := max(bytes.IndexByte(line, ':'), 0) // what has no name is none of the fields
	name := bytes.TrimRight(line[:colon], " \t")
	f.keep = f.sec.wants(name) != f.sec.except
}
