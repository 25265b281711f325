package wire

import "bytes"

// scanner turns the octets of the wire into content, in place: content is
// never longer than what it came from.
type scanner struct {
	dots bool   // DATA framing: dots are stuffed, a lone one ends
	lf   bool   // CR LF becomes LF
	bare Policy // for content
	bol  bool   // at the start of a line: behind CR LF, or nothing read yet
	err  error  // ErrBareLF or ErrBareCR, under Reject
	size int64  // octets of content in CR LF form
}

// step converts a prefix of src and returns the content, which lies at the
// start of src, and how much it used. What is left over, at most two octets,
// must be the start of the next src. done: the lone dot was read. With final
// set nothing follows and everything is used. After s.err is set the content
// is not to be used, but step goes on looking for the end.
func (s *scanner) step(src []byte, final bool) (out []byte, used int, done bool) {
	w, r := 0, 0
	for r < len(src) {
		if s.bol && s.dots && src[r] == '.' {
			rest := src[r:]
			switch {
			case !final && (len(rest) == 1 || len(rest) == 2 && rest[1] == '\r'):
				return src[:w], r, false
			case len(rest) >= 3 && rest[1] == '\r' && rest[2] == '\n':
				return src[:w], r + 3, true
			}
			s.bol = false
			r++
			continue
		}
		i := bytes.IndexByte(src[r:], '\n')
		if i < 0 {
			n := len(src) - r
			if !final {
				n -= trailingCRs(src[r:])
			}
			if n > 0 {
				s.checkCR(src[r : r+n])
				w += move(src, w, r, n)
				s.size += int64(n)
				s.bol = false
			}
			return src[:w], r + n, false
		}
		w += s.line(src, w, r, i)
		r += i + 1
	}
	return src[:w], r, false
}

// line converts the line src[r:r+i+1], which ends in LF, and puts it at w. It
// returns the length of the result.
func (s *scanner) line(src []byte, w, r, i int) int {
	s.size += int64(i + 1)
	crlf := i > 0 && src[r+i-1] == '\r'
	s.bol = crlf
	if !crlf {
		s.bareLF()
		s.checkCR(src[r : r+i])
		return move(src, w, r, i+1)
	}
	s.checkCR(src[r : r+i-1])
	if !s.lf || i > 1 && src[r+i-2] == '\r' {
		return move(src, w, r, i+1) // CR CR LF stays: see envelope.Content
	}
	move(src, w, r, i-1)
	src[w+i-1] = '\n'
	return i
}

// trailingCRs counts them, up to two: the start of a CR LF or CR CR LF whose
// end has not come yet. More need not be held back.
func trailingCRs(p []byte) int {
	n := 0
	for n < 2 && n < len(p) && p[len(p)-1-n] == '\r' {
		n++
	}
	return n
}

func (s *scanner) bareLF() {
	if s.bare == Reject && s.err == nil {
		s.err = ErrBareLF
	}
}

// checkCR looks at text that holds no line end.
func (s *scanner) checkCR(text []byte) {
	if s.bare == Allow {
		return
	}
	for {
		i := bytes.IndexByte(text, '\r')
		if i < 0 {
			return
		}
		if s.bare == Reject {
			if s.err == nil {
				s.err = ErrBareCR
			}
			return
		}
		text[i] = ' '
		text = text[i+1:]
	}
}

// move copies src[r:r+n] down to w.
func move(src []byte, w, r, n int) int {
	if w != r {
		copy(src[w:], src[r:r+n])
	}
	return n
}
