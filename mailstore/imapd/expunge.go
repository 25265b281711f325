package imapd

import (
	"slices"

	"github.com/emersion/go-imap/v2"
)

// runExpunge is EXPUNGE (RFC 3501 section 6.4.3).
func runExpunge(s *session, a *args) (reply, error) {
	if err := a.end(); err != nil {
		return reply{}, err
	}
	return remove(s, wholeView(s.box.view))
}

// runUIDExpunge is UID EXPUNGE (RFC 4315 section 2.1).
func runUIDExpunge(s *session, a *args) (reply, error) {
	ranges := s.box.messages(a)
	if err := a.end(); err != nil {
		return reply{}, err
	}
	return remove(s, ranges)
}

// remove expunges the deleted messages in ranges; the news that follow tell
// them.
func remove(s *session, ranges []seqRange) (reply, error) {
	if seqs := s.box.deleted(ranges); len(seqs) > 0 {
		if err := s.box.view.Expunge(s.ctx, seqs); err != nil {
			return reply{}, err
		}
		s.counts.expunged += len(seqs)
	}
	return reply{text: "Expunge completed"}, nil
}

var errReadOnly = no("", "Mailbox is read-only")

// deleted are the messages in ranges with \Deleted.
func (b *mailbox) deleted(ranges []seqRange) []uint32 {
	var seqs []uint32
	for _, r := range ranges {
		for seq := r.First; seq <= r.Last; seq++ {
			if slices.Contains(b.view.Message(seq).Flags, imap.FlagDeleted) {
				seqs = append(seqs, seq)
			}
		}
	}
	return seqs
}
