package mime

// Scanner scans messages in memory, one after the other, and uses its own
// memory again. The zero Scanner is ready and has the default limits. It
// belongs to one goroutine.
type Scanner struct {
	// Limits are those of the first message and all that follow.
	Limits Limits
	s      *scanner
}

// ScanBytes scans the message that pieces make, one after the other. The
// result does not refer to them; it is valid until the next call.
func (r *Scanner) ScanBytes(pieces ...[]byte) *Message {
	if r.s == nil {
		r.s = newScanner(r.Limits)
	} else {
		r.s.reset()
	}
	s := r.s
	for i, b := range pieces {
		last := i == len(pieces)-1
		if len(s.rest) > 0 {
			b = append(s.rest, b...)
		}
		used := s.feed(b, last)
		s.rest = append(s.rest[:0], b[used:]...)
	}
	return s.finish()
}

// keep is how much memory a Scanner may hold between two messages, about four
// times of what an ordinary one takes.
const keep = 64 << 10

// Large says that an extraordinary message made the Scanner hold so much
// memory that it is better forgotten.
func (r *Scanner) Large() bool {
	s := r.s
	return s != nil && cap(s.text)+cap(s.fields.raw)+cap(s.rendered)+cap(s.rest)+cap(s.keeper.f.Lines)+cap(s.addresses.name)+
		cap(s.m.Parts)*partSize+cap(s.fields.refs)*refSize > keep
}

// About the sizes of a Part with its description, and of a fieldRef.
const (
	partSize = 192
	refSize  = 24
)
