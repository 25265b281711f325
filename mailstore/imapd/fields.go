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
func (f *fetcher) writeFields(content envelope.Content, r mime.Range, sec *section) error {
	if n := r.To - r.From; n <= wire.BlockSize {
		// An ordinary header is read once.
		block := f.c.blocks.Get()
		defer f.c.blocks.Put(block)
		if got, err := content.ReadAt((*block)[:n], r.From); int64(got) < n {
			return errors.Join(errChanged, err)
		}
		content, r = envelope.Memory((*block)[:n]), mime.Range{To: n}
	}
	var measure wire.Sizer
	if err := f.c.filter(content, r, sec, measure.Add); err != nil {
		return err
	}
	offset, length := sec.piece(measure.Wire + 2)
	f.c.announce(length)
	w := wire.NewLiteralWriter(f.c.Out)
	if sec.partial {
		w.Window(offset, length)
	}
	write := writeTo(w)
	err := f.c.filter(content, r, sec, func(b []byte) { write(b) })
	w.Resume(wire.Offset{}, false) // a CR that ends the header is none of the blank line's
	write([]byte{'\n'})
	return f.sentAll(w.Sent(), length, err)
}

// writeKept is writeFields for fields that the record has.
func (f *fetcher) writeKept(sec *section) error {
	kept := f.message.Fields.Lines
	if bytes.IndexByte(kept, '\r') >= 0 || bytes.IndexByte(kept, 0) >= 0 {
		c := envelope.Memory(kept)
		return f.writeFields(c, mime.Range{To: c.Size()}, sec)
	}
	// What has neither is on the wire with a CR before each LF.
	out := f.lines[:0]
	wanted := mime.FieldFilter{Wants: sec.wants, Emit: func(line []byte) {
		if n := len(line) - 1; line[n] == '\n' {
			out = append(append(out, line[:n]...), '\r', '\n')
		} else {
			out = append(out, line...)
		}
	}}
	wanted.All(kept)
	out = append(out, '\r', '\n')
	f.lines = out
	offset, length := sec.piece(int64(len(out)))
	f.c.announce(length)
	f.c.put(out[offset : offset+length])
	return nil
}

// filter passes the lines of a header that a section wants to emit.
func (c *conn) filter(content envelope.Content, r mime.Range, sec *section, emit func([]byte)) error {
	f, lines := mime.FieldFilter{Wants: sec.wants, Emit: emit}, mime.Lines()
	err := c.pieces(content, r.From, r.To, func(b []byte) bool {
		_, err := lines.Push(b, f.Line)
		return err == nil
	})
	return errors.Join(err, lines.Flush(f.Line))
}
