package imapd

import (
	"cmp"
	"errors"
	"slices"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/msglog"
	"toastmaster/mailstore"
)

// runFetch is FETCH (RFC 3501 section 6.4.5).
func runFetch(s *session, a *args) (reply, error) {
	ranges := s.box.messages(a)
	a.space()
	q := a.fetchItems(s.srv.config.MaxFetchItems)
	if err := a.end(); err != nil {
		return reply{}, err
	}
	var missed error
	for _, r := range ranges {
		s.box.view.Ahead(r.First, r.Last)
		for first := r.First; first <= r.Last; first += seenBatch {
			some, err := s.box.fetch.fetchSome(q, seqRange{First: first, Last: min(r.Last, first+seenBatch-1)})
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

// fetcher sends messages of the selected mailbox. message, place and lines are used
// again from one to the next; place is one of this mailbox.
type fetcher struct {
	*mailbox
	log    *msglog.Log
	id     string // of the session
	counts *counts
	copies int // imapd.max_fetch_copies

	message mime.Message
	resume  resumePoint
	lines   []byte // of writeKept
}

// seenBatch is for how many messages \Seen is set at once. It is set before
// they are sent, so that the response can tell it; a client that goes away
// has at most so many marked that it has not got.
const seenBatch = 64

// fetchSome sends a batch of messages; missed is the first error that concerns
// one message only: it is gone, or cannot be read. The others are sent.
func (f *fetcher) fetchSome(q *fetchRequest, r seqRange) (missed, err error) {
	var marked []uint32
	if q.seen && f.view.MayStore(imap.FlagSeen) {
		if marked, err = f.markSeen(r); err != nil {
			return nil, err
		}
	}
	for seq := r.First; seq <= r.Last; seq++ {
		if err := f.c.step(len(q.items)); err != nil {
			return missed, err
		}
		newFlags := false
		if len(marked) > 0 && marked[0] == seq {
			marked = marked[1:]
			newFlags = !q.flags
		}
		err := f.fetchMessage(q, seq, newFlags)
		if errors.Is(err, mailstore.ErrExpunged) || errors.Is(err, mailstore.ErrUnreadable) {
			missed = cmp.Or(missed, err)
			continue
		}
		if err != nil {
			return missed, err
		}
		if f.c.lost() {
			return missed, f.c.Err()
		}
	}
	return missed, nil
}

// markSeen sets \Seen where it is missing and returns those messages.
func (f *fetcher) markSeen(r seqRange) ([]uint32, error) {
	var unseen []uint32
	for seq := r.First; seq <= r.Last; seq++ {
		if !slices.Contains(f.view.Message(seq).Flags, imap.FlagSeen) {
			unseen = append(unseen, seq)
		}
	}
	if len(unseen) == 0 {
		return nil, nil
	}
	_, err := f.view.SetFlags(f.ctx, unseen, mailstore.FlagsAdd, []imap.Flag{imap.FlagSeen}, 0)
	return unseen, err
}

// fetchMessage sends one message. Everything that can fail is got before the
// first octet is written.
func (f *fetcher) fetchMessage(q *fetchRequest, seq uint32, newFlags bool) error {
	var m mailstore.Message
	content, err := f.load(q, seq, &m)
	if content != nil {
		defer func() { _ = content.Close() }()
	}
	if err == nil && (q.content || q.fields) {
		err = f.notTooMuch(q)
	}
	if err != nil {
		return err
	}
	f.counts.fetched++
	if q.flags || newFlags {
		f.tellKeywords(m.Flags)
	}
	out := append(f.c.buf(), "* "...)
	out = appendNumber(out, seq)
	out = append(out, " FETCH ("...)
	for i := range q.items {
		item := &q.items[i]
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, item.label...)
		if item.kind != itemSection {
			out = f.appendItem(out, item.kind, &m)
			continue
		}
		f.c.put(out)
		if err := f.c.step(sectionWork); err != nil {
			return f.sentAll(0, 0, err) // in the middle of a response: the session ends
		}
		if err := f.writeSection(content, &item.section, m.UID); err != nil {
			return err
		}
		out = f.c.buf()
	}
	if newFlags {
		out = append(out, " FLAGS "...)
		out = appendFlags(out, m.Flags, m.Recent)
	}
	f.c.put(append(out, ")\r\n"...))
	return nil
}

// alwaysSent is how much of a message is sent whatever its size, so that a client may
// ask for the fields of a small one by as many items as it likes. It is no parameter:
// imapd.max_fetch_copies is.
const alwaysSent = 1 << 20

// notTooMuch refuses items that would send a message again and again: pieces that
// overlap, or fields under many spellings. It knows from the structure, before the
// first octet; fields count as the whole header.
func (f *fetcher) notTooMuch(q *fetchRequest) error {
	copies := f.copies
	if len(q.items) <= copies {
		return nil // none is larger than the message
	}
	left := max(f.message.WireSize*int64(copies), alwaysSent)
	for i := range q.items {
		item := &q.items[i]
		if item.kind != itemSection {
			continue
		}
		if r, ok := f.message.Section(item.path, item.what); ok {
			_, length := item.piece(r.Wire)
			left -= length
		}
		if left < 0 {
			return no("LIMIT", "Too much of one message, many times over")
		}
	}
	return nil
}

// sectionWork is what a section costs, in units of conn.step.
const sectionWork = 20

// appendItem appends the value of an item that comes from the index.
func (f *fetcher) appendItem(out []byte, kind itemKind, m *mailstore.Message) []byte {
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
		return append(out, f.message.Envelope...)
	case itemBody:
		return f.message.AppendBody(out)
	case itemBodyStructure:
		return append(out, f.message.Structure...)
	}
	return out
}

// load gets what the items need; the content is nil when that is the record, or less.
// Without an item that needs more, m has the UID only.
func (f *fetcher) load(q *fetchRequest, seq uint32, m *mailstore.Message) (envelope.Content, error) {
	switch {
	case q.structure && !q.content && !q.fields && q.metadata:
		return nil, f.view.Listing(f.ctx, seq, &f.message, m)
	case q.structure && !q.content && !q.fields:
		m.UID = f.view.UID(seq)
		return nil, f.view.Listing(f.ctx, seq, &f.message, nil)
	}
	f.view.Tell(seq, m)
	switch {
	case q.content:
		return f.loadContent(seq)
	case q.fields:
		if err := f.loadRecord(seq, true); err != nil || f.message.Fields.Known() && f.answers(q) {
			return nil, err
		}
		return f.loadContent(seq)
	}
	return nil, nil
}

// answers says whether the record has all the fields that are asked for.
func (f *fetcher) answers(q *fetchRequest) bool {
	for i := range q.items {
		if item := &q.items[i]; item.kind == itemSection && !f.message.Fields.AnswersAll(item.asked) {
			return false
		}
	}
	return true
}

// loadRecord gets what is known of a message into f.message, which is valid until
// the next call on the view. With whole set that is all that a scan finds.
func (f *fetcher) loadRecord(seq uint32, whole bool) error {
	return f.view.Record(f.ctx, seq, &f.message, whole)
}

func (f *fetcher) rescan(content envelope.Content) error {
	m, err := mime.Scan(envelope.Reader(content))
	if err == nil {
		f.message = *m
	}
	return err
}

// loadContent opens a message and loads its structure. If another program has
// changed the file, the structure is made anew from what is there.
func (f *fetcher) loadContent(seq uint32) (envelope.Content, error) {
	content, err := f.view.Read(f.ctx, seq)
	if err != nil {
		return nil, err
	}
	err = f.loadRecord(seq, false)
	if err == nil && content.Size() != f.message.Size {
		err = f.rescan(content)
	}
	if err != nil {
		return nil, errors.Join(err, content.Close())
	}
	return content, nil
}
