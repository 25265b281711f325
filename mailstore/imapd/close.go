package imapd

import (
	"errors"

	"toastmaster/mailstore"
)

// runClose is CLOSE (RFC 3501 section 6.4.2): it expunges without telling,
// but never in a mailbox that was opened read-only.
func runClose(s *session, a *args) (reply, error) {
	if err := a.end(); err != nil {
		return reply{}, err
	}
	if !s.box.view.ReadOnly() && s.box.view.Rights().Allow(mailstore.RightExpunge) {
		if seqs := s.box.deleted(wholeView(s.box.view)); len(seqs) > 0 {
			// Of a mailbox that was deleted meanwhile there is nothing left.
			if err := s.box.view.Expunge(s.ctx, seqs); err != nil && !errors.Is(err, mailstore.ErrGone) {
				return reply{}, err
			}
			s.counts.expunged += len(seqs)
		}
	}
	s.closeView()
	return reply{text: "Close completed"}, nil
}
