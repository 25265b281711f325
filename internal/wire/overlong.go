package wire

import "bytes"

// The ends of a line that is too long, of which Overlong tells. In IMAP the
// first has the tag that an answer needs, the last may announce a literal.
const (
	headSize = 256
	tailSize = 32
)

// overlong is a line that is too long.
type overlong struct {
	head    []byte
	tail    [tailSize]byte
	kept    int   // of tail
	skipped int64 // its octets, without those of the line end
	open    bool  // its end was not read yet
}

// Overlong are the start and the end of the last line that was ErrTooLong: at
// most 256 and 32 octets of it. They are valid until the next such line.
func (r *Reader) Overlong() (head, tail []byte) {
	if r.over == nil {
		return nil, nil
	}
	return r.over.head, bytes.TrimSuffix(r.over.tail[:r.over.kept], []byte{'\r'})
}

// Skipped is how many octets the last line had that was ErrTooLong, its line end not counted.
func (r *Reader) Skipped() int64 {
	if r.over == nil {
		return 0
	}
	return r.over.skipped
}

// overlong is where such a line is kept. A reader that meets none has none.
func (r *Reader) overlong() *overlong {
	if r.over == nil {
		r.over = &overlong{}
	}
	return r.over
}

// begin notes the start of a line.
func (o *overlong) begin(start []byte) {
	o.head = append(o.head[:0], start[:min(len(start), headSize)]...)
	o.kept, o.skipped, o.open = 0, 0, true
}

// whole notes a line whose end is there.
func (o *overlong) whole(line []byte) {
	o.begin(line)
	o.keep(line)
	o.skipped, o.open = int64(len(line)), false
}

// keep appends a piece to the kept end and keeps the last of it.
func (o *overlong) keep(piece []byte) {
	if len(piece) >= tailSize {
		o.kept = copy(o.tail[:], piece[len(piece)-tailSize:])
		return
	}
	if drop := o.kept + len(piece) - tailSize; drop > 0 {
		o.kept = copy(o.tail[:], o.tail[drop:o.kept])
	}
	o.kept += copy(o.tail[o.kept:], piece)
}

// skipLine drops the rest of a line that is too long.
func (r *Reader) skipLine() error {
	o := r.over
	for {
		unread := r.buf[r.pos:r.end]
		if i := bytes.IndexByte(unread, '\n'); i >= 0 {
			o.keep(unread[:i])
			o.skipped += int64(i)
			o.open = false
			r.pos += i + 1
			return ErrTooLong
		}
		if o.skipped += int64(len(unread)); o.skipped > r.MaxSkipped {
			return ErrEndless
		}
		o.keep(unread)
		r.pos = r.end
		if err := r.fill(); err != nil {
			return atEnd(err, true)
		}
	}
}
