package imapd

import (
	"slices"

	"github.com/emersion/go-imap/v2"
)

// expunge is EXPUNGE (RFC 3501 section 6.4.3).
func (s *session) expunge(a *args) (reply, error) {
	if err := a.end(); err != nil {
		return reply{}, err
	}
	return s.remove(wholeView(s.view))
}

// uidExpunge is UID EXPUNGE (RFC 4315 section 2.1).
func (s *session) uidExpunge(a *args) (reply, error) {
	ranges := s.messages(a)
	if err := a.end(); err != nil {
		return reply{}, err
	}
	return s.remove(ranges)
}

// remove expunges the deleted messages in ranges; the news that follow tell
// them.
func (s *session) remove(ranges []seqRange) (reply, error) {
	if seqs := s.deleted(ranges); len(seqs) > 0 {
		if err := s.view.Expunge(s.ctx, seqs); err != nil {
			return reply{}, err
		}
		s.counts.expunged += len(seqs)
	}
	return reply{text: "Expunge completed"}, nil
}

var errReadOnly = no("", "Mailbox is read-only")

// deleted are the messages in ranges with \Deleted.
func (s *session) deleted(ranges []seqRange) []uint32 {
	var seqs []uint32
	for _, r := range ranges {
		for seq := r.First; seq <= r.Last; seq++ {
			if slices.Contains(s.view.Message(seq).Flags, imap.FlagDeleted) {
				seqs = append(seqs, seq)
			}
		}
	}
	return seqs
}
