package imapd

import (
	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/mime"
)

// search is SEARCH (RFC 3501 section 6.4.4) with ESEARCH (RFC 4731), SEARCHRES
// (RFC 5182) and WITHIN (RFC 5032).
func (s *session) search(a *args) (reply, error) {
	q, err := s.searchRequest(a)
	if err != nil {
		return reply{}, err
	}
	found, missed, err := s.find(q.key)
	if err != nil {
		if q.ReturnSave {
			s.result = nil
		}
		return reply{}, err
	}
	if q.ReturnSave {
		s.save(q, found)
	}
	if q.extended {
		s.writeExtended(q, found, a.uid)
	} else {
		s.writeFound(found, a.uid)
	}
	if missed {
		return reply{"EXPUNGEISSUED", "Search completed, some of the messages no longer exist"}, nil
	}
	return reply{text: "Search completed"}, nil
}

// find runs a search over the messages that can match; missed says that some
// were passed over, because another session has expunged them.
func (s *session) find(k *key) (found []seqRange, missed bool, err error) {
	m := newMatcher(s, k)
	defer m.close()
	for _, r := range candidates(k, wholeView(s.view)) {
		for seq := r.first; seq <= r.last; seq++ {
			if err := s.step(1); err != nil {
				return nil, m.missed, err
			}
			ok, err := m.message(k, seq)
			if err != nil {
				return nil, m.missed, err
			}
			if ok {
				found = appendSeq(found, seq)
			}
		}
	}
	return found, m.missed, nil
}

// candidates narrows the messages down by a set that all must be in.
func candidates(k *key, all []seqRange) []seqRange {
	if k.kind == keySet && !k.not {
		return k.ranges
	}
	if k.kind == keyAnd && !k.not {
		for _, kid := range k.kids {
			if kid.kind == keySet && !kid.not {
				return kid.ranges
			}
		}
	}
	return all
}

// writeFound writes the plain answer.
func (s *session) writeFound(found []seqRange, uid bool) {
	s.c.writeString("* SEARCH")
	for _, r := range found {
		for seq := r.first; seq <= r.last; seq++ {
			out := append(s.c.buf(), ' ')
			s.c.put(appendNumber(out, s.number(seq, uid)))
		}
	}
	s.c.writeString("\r\n")
}

// number is what a search calls a message.
func (s *session) number(seq uint32, uid bool) uint32 {
	if uid {
		return uint32(s.view.UID(seq))
	}
	return seq
}

// writeExtended writes ESEARCH. With RETURN (SAVE) alone there is no answer.
func (s *session) writeExtended(q *searchRequest, found []seqRange, uid bool) {
	if !q.ReturnMin && !q.ReturnMax && !q.ReturnAll && !q.ReturnCount {
		return
	}
	out := append(s.c.buf(), `* ESEARCH (TAG `...)
	out = mime.AppendString(out, s.tag)
	out = append(out, ')')
	if uid {
		out = append(out, " UID"...)
	}
	if len(found) > 0 {
		if q.ReturnMin {
			out = appendNumber(append(out, " MIN "...), s.number(found[0].first, uid))
		}
		if q.ReturnMax {
			out = appendNumber(append(out, " MAX "...), s.number(found[len(found)-1].last, uid))
		}
		if q.ReturnAll {
			out = append(out, " ALL "...)
			s.c.put(out)
			s.writeSet(found, uid)
			out = s.c.buf()
		}
	}
	if q.ReturnCount {
		n := 0
		for _, r := range found {
			n += int(r.last-r.first) + 1
		}
		out = appendNumber(append(out, " COUNT "...), n)
	}
	s.c.put(append(out, "\r\n"...))
}

// writeSet writes messages as a sequence set.
func (s *session) writeSet(found []seqRange, uid bool) {
	first := true
	for _, r := range found {
		for seq := r.first; seq <= r.last; {
			end := r.last
			if uid {
				// UIDs have gaps where sequence numbers have none.
				for end = seq; end < r.last && s.view.UID(end+1) == s.view.UID(end)+1; end++ {
				}
			}
			out := s.c.buf()
			if !first {
				out = append(out, ',')
			}
			first = false
			out = appendNumber(out, s.number(seq, uid))
			if end > seq {
				out = appendNumber(append(out, ':'), s.number(end, uid))
			}
			s.c.put(out)
			seq = end + 1
		}
	}
}

// save keeps the result as "$": with only MIN and MAX asked, only those.
func (s *session) save(q *searchRequest, found []seqRange) {
	if n := len(found); n > 0 && (q.ReturnMin || q.ReturnMax) && !q.ReturnAll && !q.ReturnCount {
		var some []seqRange
		low, high := found[0].first, found[n-1].last
		if q.ReturnMin {
			some = appendSeq(some, low)
		}
		if q.ReturnMax && (high != low || !q.ReturnMin) {
			some = appendSeq(some, high)
		}
		found = some
	}
	s.result = []imap.UID{}
	for _, seq := range seqs(found) {
		s.result = append(s.result, s.view.UID(seq))
	}
}
