package header

import "bytes"

// Pusher is a Scanner for who is given the message bit by bit. It holds back what it has
// of a line until that is whole, or Max octets.
type Pusher struct {
	// Line is given each line; its slices are valid until it returns. Without more the
	// header is over with this line.
	Line func(l *Line) (more bool, err error)
	// Max is how much of a line is held back. A longer one comes in pieces: the first
	// has so much, each other what there is.
	Max int

	held []byte
	at   int64
	cut  bool
	over bool
}

// Push takes octets of the message, which is not kept. rest is what is no header.
func (s *Pusher) Push(p []byte) (rest []byte, err error) {
	for len(p) > 0 && !s.over {
		part := p
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			part = p[:i+1]
		}
		n, err := s.take(part)
		if p = p[n:]; err != nil {
			return p, err
		}
	}
	return p, nil
}

// Flush gives what is held: the message is over.
func (s *Pusher) Flush() error {
	if len(s.held) == 0 {
		return nil
	}
	err := s.give(s.held, false)
	s.held = s.held[:0]
	return err
}

// take takes a piece of one line, the last one with its line end, and says how much of it
// was taken.
func (s *Pusher) take(part []byte) (n int, err error) {
	end := part[len(part)-1] == '\n'
	if s.cut || end && len(s.held) == 0 && len(part) <= s.Max {
		return len(part), s.give(part, !end)
	}
	n = min(len(part), s.Max-len(s.held))
	s.held = append(s.held, part[:n]...)
	whole := end && n == len(part)
	if !whole && len(s.held) < s.Max {
		return n, nil
	}
	err = s.give(s.held, !whole)
	s.held = s.held[:0]
	return n, err
}

// give gives a line, or a piece of one.
func (s *Pusher) give(text []byte, cut bool) error {
	l := Line{Text: text, Cut: cut, From: s.at, To: s.at + int64(len(text)), Kind: Rest}
	if !s.cut {
		l.classify()
	}
	s.at, s.cut = l.To, cut
	more, err := s.Line(&l)
	s.over = s.over || !more || l.Kind == End
	return err
}
