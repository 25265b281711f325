package imapd

import (
	"context"
	"errors"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/mailstore"
	"toastmaster/mailstore/search"
)

// runSearch is SEARCH (RFC 3501 section 6.4.4) with ESEARCH (RFC 4731), SEARCHRES
// (RFC 5182) and WITHIN (RFC 5032).
func runSearch(s *session, a *args) (reply, error) {
	q, err := readSearch(s, a)
	if err != nil {
		return reply{}, err
	}
	found, missed, err := find(s, q.key)
	if err != nil {
		if q.ReturnSave {
			s.box.result = nil
		}
		return reply{}, err
	}
	if q.ReturnSave {
		s.box.save(q, found)
	}
	if q.extended {
		s.box.writeExtended(q, s.tag, found, a.uid)
	} else {
		s.box.writeFound(found, a.uid)
	}
	if missed {
		return reply{"EXPUNGEISSUED", "Search completed, some of the messages no longer exist"}, nil
	}
	return reply{text: "Search completed"}, nil
}

// find runs a search over the messages that can match; missed says that some
// were passed over, because another session has expunged them.
func find(s *session, k *search.Key) (found []seqRange, missed bool, err error) {
	c := s.srv.config
	p := search.New(k, search.Limits{Octets: c.MaxSearch, Tests: c.MaxSearchTests, Step: s.c.step, Now: s.now()})
	ranges, ok := p.Candidates()
	if !ok {
		ranges = wholeView(s.box.view)
	}
	m := &candidate{fetcher: &s.box.fetch, texts: s.box.view.Texts(s.c.step)}
	for _, r := range ranges {
		for m.seq = r.First; m.seq <= r.Last; m.seq++ {
			if err := s.c.step(1); err != nil {
				return nil, missed, err
			}
			ok, err := p.Match(s.ctx, m)
			switch {
			case errors.Is(err, mailstore.ErrUnreadable): // the log has it
			case errors.Is(err, mailstore.ErrExpunged):
				missed = true
			case err != nil:
				return nil, missed, err
			case ok:
				found = appendSeq(found, m.seq)
			}
		}
	}
	return found, missed, nil
}

// candidate is the search.Source of a message of the selected mailbox.
type candidate struct {
	*fetcher
	texts *mailstore.Texts
	seq   uint32
}

// Info is what the index has.
func (m *candidate) Info(i *search.Info) {
	is := m.view.Message(m.seq)
	i.Number, i.Flags, i.Recent, i.Date, i.Size = m.seq, is.Flags, is.Recent, is.Date, is.Size
}

// Text is what the mailbox has in memory.
func (m *candidate) Text(ctx context.Context, c *search.Column) ([]byte, bool, error) {
	return m.texts.Of(ctx, m.seq, c)
}

// Record is what the cache has.
func (m *candidate) Record(_ context.Context, whole bool) (*mime.Message, error) {
	return &m.message, m.loadRecord(m.seq, whole)
}

// Content opens the file.
func (m *candidate) Content(context.Context) (envelope.Content, *mime.Message, error) {
	content, err := m.loadContent(m.seq)
	return content, &m.message, err
}

// writeFound writes the plain answer.
func (b *mailbox) writeFound(found []seqRange, uid bool) {
	b.c.writeString("* SEARCH")
	for _, r := range found {
		for seq := r.First; seq <= r.Last; seq++ {
			out := append(b.c.buf(), ' ')
			b.c.put(appendNumber(out, b.number(seq, uid)))
		}
	}
	b.c.writeString("\r\n")
}

// number is what a search calls a message.
func (b *mailbox) number(seq uint32, uid bool) uint32 {
	if uid {
		return uint32(b.view.UID(seq))
	}
	return seq
}

// writeExtended writes ESEARCH. With RETURN (SAVE) alone there is no answer.
func (b *mailbox) writeExtended(q *searchRequest, tag []byte, found []seqRange, uid bool) {
	if !q.ReturnMin && !q.ReturnMax && !q.ReturnAll && !q.ReturnCount {
		return
	}
	out := append(b.c.buf(), `* ESEARCH (TAG `...)
	out = mime.AppendString(out, tag)
	out = append(out, ')')
	if uid {
		out = append(out, " UID"...)
	}
	if len(found) > 0 {
		if q.ReturnMin {
			out = appendNumber(append(out, " MIN "...), b.number(found[0].First, uid))
		}
		if q.ReturnMax {
			out = appendNumber(append(out, " MAX "...), b.number(found[len(found)-1].Last, uid))
		}
		if q.ReturnAll {
			out = append(out, " ALL "...)
			b.c.put(out)
			b.writeSet(found, uid)
			out = b.c.buf()
		}
	}
	if q.ReturnCount {
		n := 0
		for _, r := range found {
			n += int(r.Last-r.First) + 1
		}
		out = appendNumber(append(out, " COUNT "...), n)
	}
	b.c.put(append(out, "\r\n"...))
}

// writeSet writes messages as a sequence set.
func (b *mailbox) writeSet(found []seqRange, uid bool) {
	first := true
	for _, r := range found {
		for seq := r.First; seq <= r.Last; {
			end := r.Last
			if uid {
				// UIDs have gaps where sequence numbers have none.
				for end = seq; end < r.Last && b.view.UID(end+1) == b.view.UID(end)+1; end++ {
				}
			}
			out := b.c.buf()
			if !first {
				out = append(out, ',')
			}
			first = false
			out = appendNumber(out, b.number(seq, uid))
			if end > seq {
				out = appendNumber(append(out, ':'), b.number(end, uid))
			}
			b.c.put(out)
			seq = end + 1
		}
	}
}

// save keeps the result as "$": with only MIN and MAX asked, only those.
func (b *mailbox) save(q *searchRequest, found []seqRange) {
	if n := len(found); n > 0 && (q.ReturnMin || q.ReturnMax) && !q.ReturnAll && !q.ReturnCount {
		var some []seqRange
		low, high := found[0].First, found[n-1].Last
		if q.ReturnMin {
			some = appendSeq(some, low)
		}
		if q.ReturnMax && (high != low || !q.ReturnMin) {
			some = appendSeq(some, high)
		}
		found = some
	}
	b.result = []imap.UID{}
	for _, seq := range seqs(found) {
		b.result = append(b.result, b.view.UID(seq))
	}
}
