package imapd

import (
	"cmp"
	"errors"
	"slices"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/mailstore"
)

// fetch is FETCH (RFC 3501 section 6.4.5).
func (s *session) fetch(a *args) (reply, error) {
	ranges := s.messages(a)
	a.space()
	q := a.fetchItems(s.srv.config.MaxFetchItems)
	if err := a.end(); err != nil {
		return reply{}, err
	}
	var missed error
	for _, r := range ranges {
		for first := r.First; first <= r.Last; first += seenBatch {
			some, err := s.fetchSome(q, seqRange{First: first, Last: min(r.Last, first+seenBatch-1)})
			if err != nil {
				return reply{}, err
			}
			missed = cmp.Or(missed, some)
		}
	}
	if missed != nil {
		return reply{}, missed
	}
	return reply{text: "Fetch completed"}, nil
}

// seenBatch is for how many messages \Seen is set at once. It is set before
// they are sent, so that the response can tell it; a client that goes away
// has at most so many marked that it has not got.
const seenBatch = 64

// fetchSome sends a batch of messages; missed is the first error that concerns
// one message only: it is gone, or cannot be read. The others are sent.
func (s *session) fetchSome(q *fetchRequest, r seqRange) (missed, err error) {
	var marked []uint32
	if q.seen && !s.readOnly {
		if marked, err = s.markSeen(r); err != nil {
			return nil, err
		}
	}
	for seq := r.First; seq <= r.Last; seq++ {
		if err := s.step(len(q.items)); err != nil {
			return missed, err
		}
		newFlags := false
		if len(marked) > 0 && marked[0] == seq {
			marked = marked[1:]
			newFlags = !q.flags
		}
		err := s.fetchMessage(q, seq, newFlags)
		if errors.Is(err, mailstore.ErrExpunged) || errors.Is(err, mailstore.ErrUnreadable) {
			missed = cmp.Or(missed, err)
			continue
		}
		if err != nil {
			return missed, err
		}
		if s.c.lost() {
			return missed, s.c.Err()
		}
	}
	return missed, nil
}

// markSeen sets \Seen where it is missing and returns those messages.
func (s *session) markSeen(r seqRange) ([]uint32, error) {
	var unseen []uint32
	for seq := r.First; seq <= r.Last; seq++ {
		if !slices.Contains(s.view.Message(seq).Flags, imap.FlagSeen) {
			unseen = append(unseen, seq)
		}
	}
	if len(unseen) == 0 {
		return nil, nil
	}
	_, err := s.view.SetFlags(s.ctx, unseen, mailstore.FlagsAdd, []imap.Flag{imap.FlagSeen}, 0)
	return unseen, err
}

// fetchMessage sends one message. Everything that can fail is got before the
// first octet is written.
func (s *session) fetchMessage(q *fetchRequest, seq uint32, newFlags bool) error {
	m := s.view.Message(seq)
	var content envelope.Content
	var err error
	switch {
	case q.content:
		if content, err = s.loadContent(seq); err == nil {
			defer func() { _ = content.Close() }()
		}
	case q.structure:
		err = s.loadStructure(seq)
	}
	if err == nil && q.content {
		err = s.notTooMuch(q)
	}
	if err != nil {
		return err
	}
	s.counts.fetched++
	if q.flags || newFlags {
		s.tellKeywords(m.Flags)
	}
	out := append(s.c.buf(), "* "...)
	out = appendNumber(out, seq)
	out = append(out, " FETCH ("...)
	for i := range q.items {
		item := &q.items[i]
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, item.label...)
		if item.kind != itemSection {
			out = s.appendItem(out, item.kind, &m)
			continue
		}
		s.c.put(out)
		if err := s.step(sectionWork); err != nil {
			return s.sentAll(0, 0, err) // in the middle of a response: the session ends
		}
		if err := s.writeSection(content, &item.section, m.UID); err != nil {
			return err
		}
		out = s.c.buf()
	}
	if newFlags {
		out = append(out, " FLAGS "...)
		out = appendFlags(out, m.Flags, m.Recent)
	}
	s.c.put(append(out, ")\r\n"...))
	return nil
}

// alwaysSent is how much of a message is sent whatever its size, so that a client may
// ask for the fields of a small one by as many items as it likes. It is no parameter:
// imapd.max_fetch_copies is.
const alwaysSent = 1 << 20

// notTooMuch refuses items that would send a message again and again: pieces that
// overlap, or fields under many spellings. It knows from the structure, before the
// first octet; fields count as the whole header.
func (s *session) notTooMuch(q *fetchRequest) error {
	copies := s.srv.config.MaxFetchCopies
	if len(q.items) <= copies {
		return nil // none is larger than the message
	}
	left := max(s.message.WireSize*int64(copies), alwaysSent)
	for i := range q.items {
		item := &q.items[i]
		if item.kind != itemSection {
			continue
		}
		if r, ok := s.message.Section(item.path, item.what); ok {
			_, length := item.piece(r.Wire)
			left -= length
		}
		if left < 0 {
			return no("LIMIT", "Too much of one message, many times over")
		}
	}
	return nil
}

// sectionWork is what a section costs, in units of session.step.
const sectionWork = 20

// appendItem appends the value of an item that comes from the index.
func (s *session) appendItem(out []byte, kind itemKind, m *mailstore.Message) []byte {
	switch kind {
	case itemFlags:
		return appendFlags(out, m.Flags, m.Recent)
	case itemUID:
		return appendNumber(out, m.UID)
	case itemInternalDate:
		return appendDateTime(out, m.Date)
	case itemSize:
		return appendNumber(out, m.Size)
	case itemEnvelope:
		return append(out, s.message.Envelope...)
	case itemBody:
		return s.message.AppendBody(out)
	case itemBodyStructure:
		return append(out, s.message.Structure...)
	}
	return out
}

// loadStructure gets what is known of a message into s.message, which is valid
// until the next call on the view.
func (s *session) loadStructure(seq uint32) error {
	record, err := s.view.Structure(s.ctx, seq)
	if err != nil {
		return err
	}
	if s.message.Parse(record) == nil {
		return nil
	}
	// The record is of another version or damaged; the message is the truth.
	content, err := s.view.Read(s.ctx, seq)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	return s.rescan(content)
}

func (s *session) rescan(content envelope.Content) error {
	m, err := mime.Scan(envelope.Reader(content))
	if err == nil {
		s.message = *m
	}
	return err
}

// loadContent opens a message and loads its structure. If another program has
// changed the file, the structure is made anew from what is there.
func (s *session) loadContent(seq uint32) (envelope.Content, error) {
	content, err := s.view.Read(s.ctx, seq)
	if err != nil {
		return nil, err
	}
	err = s.loadStructure(seq)
	if err == nil && content.Size() != s.message.Size {
		err = s.rescan(content)
	}
	if err != nil {
		return nil, errors.Join(err, content.Close())
	}
	return content, nil
}
