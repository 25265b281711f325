package header

import "bytes"

// Pusher is a Scanner for who is given the message bit by bit. It holds back what it has
// of a line until that is whole, or Max octets.
type Pusher struct {
	// Max is how much of a line is held back. A longer one comes in pieces: the first
	// has so much, each other what there is.
	Max int

	held []byte
	at   int64
	cut  bool
	over bool
}

// Push takes octets of the message, which is not kept, and gives line each line that is whole;
// its slices are valid until line returns. When line wants no more, the header is over with
// this one. rest is what is no header.
func (s *Pusher) Push(p []byte, line func(l Line) (more bool, err error)) (rest []byte, err error) {
	for len(p) > 0 && !s.over {
		part := p
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			part = p[:i+1]
		}
		n, err := s.take(part, line)
		if p = p[n:]; err != nil {
			return p, err
		}
	}
	return p, nil
}

// Flush gives what is held: the message is over.
func (s *Pusher) Flush(line func(l Line) (more bool, err error)) error {
	if len(s.held) == 0 {
		return nil
	}
	err := s.give(s.held, false, line)
	s.held = s.held[:0]
	return err
}

// take takes a piece of one line, the last one with its line end, and says how much of it
// was taken.
func (s *Pusher) take(part []byte, line func(l Line) (bool, error)) (n int, err error) {
	end := part[len(part)-1] == '\n'
	switch {
	case s.cut:
		return len(part), s.give(part, !end, line)
	case len(s.held) == 0 && (end || len(part) >= s.Max):
		n = min(len(part), s.Max)
		return n, s.give(part[:n], !end || n < len(part), line)
	}
	n = min(len(part), s.Max-len(s.held))
	s.held = append(s.held, part[:n]...)
	whole := end && n == len(part)
	if !whole && len(s.held) < s.Max {
		return n, nil
	}
	err = s.give(s.held, !whole, line)
	s.held = s.held[:0]
	return n, err
}

// give gives a line, or a piece of one.
func (s *Pusher) give(text []byte, cut bool, line func(l Line) (bool, error)) error {
	l := Line{Text: text, Cut: cut, From: s.at, To: s.at + int64(len(text)), Kind: Rest}
	if !s.cut {
		l.classify()
	}
	s.at, s.cut = l.To, cut
	more, err := line(l)
	s.over = s.over || !more || l.Kind == End
	return err
}
