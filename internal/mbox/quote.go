package mbox

import (
	"bufio"
	"bytes"
	"io"
)

const fromMark = "From "

// lineStart is what is known of the beginning of a line: n ">"s, and the first
// matched octets of "From ".
type lineStart struct {
	inside  bool // the beginning is over
	n       int64
	matched int
}

// next takes p[0], which belongs to the beginning of a line. whole says that "From "
// is complete with it, over that the line begins with something else.
func (l *lineStart) next(c byte) (whole, over bool) {
	switch {
	case l.matched == 0 && c == '>':
		l.n++
	case c == fromMark[l.matched]:
		l.matched++
		whole = l.matched == len(fromMark)
	default:
		over = true
	}
	if whole || over {
		l.inside = true
	}
	return whole, over
}

// unquoter takes away what quoting put before lines.
type unquoter struct {
	w   *bufio.Writer
	n   int64
	how quoting
	// active: what is written is text.
	active bool
	line   lineStart
	// held says that one ">" is not written yet.
	held bool
	one  [1]byte
}

func (u *unquoter) put(p []byte) error {
	n, err := u.w.Write(p)
	u.n += int64(n)
	return err
}

func (u *unquoter) putString(s string) error {
	n, err := u.w.WriteString(s)
	u.n += int64(n)
	return err
}

// Write writes p without what quoting added.
func (u *unquoter) Write(p []byte) (int, error) {
	all := len(p)
	if !u.active || u.how == asIs {
		if err := u.put(p); err != nil {
			return 0, err
		}
		return all, nil
	}
	for len(p) > 0 {
		if u.line.inside {
			end := bytes.IndexByte(p, '\n') + 1
			if end == 0 {
				end = len(p)
			} else {
				u.line = lineStart{}
			}
			if err := u.put(p[:end]); err != nil {
				return 0, err
			}
			p = p[end:]
			continue
		}
		if more := marks(p); more > 0 && u.held && u.line.matched == 0 {
			u.line.n += int64(more)
			if err := u.put(p[:more]); err != nil {
				return 0, err
			}
			p = p[more:]
			continue
		}
		if err := u.begin(p[0]); err != nil {
			return 0, err
		}
		p = p[1:]
	}
	return all, nil
}

// marks is how many ">"s p begins with.
func marks(p []byte) int { return len(p) - len(bytes.TrimLeft(p, ">")) }

// begin takes an octet of the beginning of a line.
func (u *unquoter) begin(c byte) error {
	if c == '>' && u.line.matched == 0 && !u.held {
		u.line.next(c)
		u.held = true
		return nil
	}
	before := u.line
	whole, over := u.line.next(c)
	if !whole && !over {
		return nil // held back: it may become "From "
	}
	if u.held && !(whole && (u.how == oneMore || before.n == 1)) {
		if err := u.putString(">"); err != nil {
			return err
		}
	}
	u.held = false
	if whole {
		return u.putString(fromMark)
	}
	if err := u.putString(fromMark[:before.matched]); err != nil {
		return err
	}
	if c == '\n' {
		u.line = lineStart{}
	}
	u.one[0] = c
	return u.put(u.one[:])
}

// close writes what was held back.
func (u *unquoter) close() error {
	if u.line.inside {
		return nil
	}
	if u.held {
		if err := u.putString(">"); err != nil {
			return err
		}
	}
	return u.putString(fromMark[:u.line.matched])
}

// quoter puts a ">" before each line of ">"s and "From ".
type quoter struct {
	w    io.Writer
	line lineStart
	// last is the last octet, 0 for none.
	last byte
}

// Write writes p quoted.
func (q *quoter) Write(p []byte) (int, error) {
	all := len(p)
	for len(p) > 0 {
		q.last = p[0]
		if q.line.inside {
			end := bytes.IndexByte(p, '\n') + 1
			if end == 0 {
				end = len(p)
			} else {
				q.line = lineStart{}
			}
			q.last = p[end-1]
			if _, err := q.w.Write(p[:end]); err != nil {
				return 0, err
			}
			p = p[end:]
			continue
		}
		if more := marks(p); more > 0 && q.line.matched == 0 {
			if _, err := q.w.Write(p[:more]); err != nil {
				return 0, err
			}
			p = p[more:]
			continue
		}
		before := q.line
		whole, over := q.line.next(p[0])
		var out []byte
		switch {
		case whole:
			out = []byte(">" + fromMark)
		case over:
			out = append([]byte(fromMark[:before.matched]), p[0])
			if p[0] == '\n' {
				q.line = lineStart{}
			}
		}
		if _, err := q.w.Write(out); err != nil {
			return 0, err
		}
		p = p[1:]
	}
	return all, nil
}

// close writes what was held back.
func (q *quoter) close() error {
	if q.line.inside {
		return nil
	}
	_, err := io.WriteString(q.w, fromMark[:q.line.matched])
	return err
}
