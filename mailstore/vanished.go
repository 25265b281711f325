package mailstore

import (
	"slices"

	"github.com/emersion/go-imap/v2"
)

// Vanished lists the UIDs of messages that were expunged after the mailbox had
// the given mod-sequence, ascending: VANISHED (EARLIER) of RFC 7162 section
// 3.2.5. ok is false when that is too long ago to be remembered; the client
// must then be told of every UID that is not there.
func (v *View) Vanished(since uint64) (uids []imap.UID, ok bool) {
	mb := v.mb
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if mb.dead || since < mb.st.Forgotten {
		return nil, false
	}
	for i := len(mb.st.Expunged) - 1; i >= 0 && mb.st.Expunged[i].ModSeq > since; i-- {
		// Those still in the view are reported by Update.
		if uid := imap.UID(mb.st.Expunged[i].UID); v.Seq(uid) == 0 {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids), true
}
