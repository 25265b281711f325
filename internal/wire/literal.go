package wire

import "io"

// Literal is octets whose number was announced, as IMAP has them. It belongs to
// the goroutine of its Reader, which must not be used otherwise until the end.
type Literal struct {
	r    *Reader
	left int64
}

// Literal starts to read n octets. A block is borrowed for a large one.
func (r *Reader) Literal(n int64) *Literal {
	if n > idleSize {
		r.enlarge()
	}
	return &Literal{r: r, left: n}
}

// Left is how much is unread.
func (l *Literal) Left() int64 { return l.left }

// Next returns the next piece, valid until the next call on l or its reader, and
// io.EOF behind the last. It never returns an empty piece without an error.
func (l *Literal) Next() ([]byte, error) {
	if l.left == 0 {
		return nil, io.EOF
	}
	p, err := l.r.next(l.left)
	l.left -= int64(len(p))
	return p, atEnd(err, true)
}

// Drain drops what is unread.
func (l *Literal) Drain() error {
	for l.left > 0 {
		if _, err := l.Next(); err != nil {
			return err
		}
	}
	return nil
}
