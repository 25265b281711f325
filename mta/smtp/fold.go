package smtp

import (
	"bytes"
	"iter"
)

// folded are the pieces of a message with LF line ends whose lines have at most limit octets, 0 for
// any number: a longer one goes on in the next line, behind a space, as with Postfix
// (smtp_line_length_limit).
func folded(pieces iter.Seq2[[]byte, error], limit int) iter.Seq2[[]byte, error] {
	if limit == 0 {
		return pieces
	}
	limit = max(limit, 2)
	return func(yield func([]byte, error) bool) {
		length := 0 // of the line so far
		put := func(p []byte) bool { return len(p) == 0 || yield(p, nil) }
		for p, err := range pieces {
			if err != nil {
				yield(nil, err)
				return
			}
			whole := p
			begin := 0 // what is before it has gone out
			for at := 0; at < len(whole); {
				end := bytes.IndexByte(whole[at:], '\n')
				part := end
				if end < 0 {
					part = len(whole) - at
				}
				if length+part <= limit {
					at, length = at+part, length+part
					if end >= 0 {
						at, length = at+1, 0
					}
					continue
				}
				at += limit - length
				if !put(whole[begin:at]) || !yield([]byte("\n "), nil) {
					return
				}
				begin, length = at, 1
			}
			if !put(whole[begin:]) {
				return
			}
		}
	}
}
