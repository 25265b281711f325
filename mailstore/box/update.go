package box

import (
	"context"
	"slices"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

const seen = maildir.Seen

// Changed receives when the mailbox may have changed since the last Update;
// it has a buffer of one and may fire without a visible change. It may be
// waited on from another goroutine.
func (v *View) Changed() <-chan struct{} { return v.changed }

// Update merges what others changed. Expunged messages are reported and
// removed only if expunge is set (RFC 3501 section 7.4.1 forbids it during
// FETCH, STORE and SEARCH).
type Update struct {
	// Expunged lists sequence numbers in the order to report them: each
	// counts after the removals before it. ExpungedUIDs are the same messages.
	Expunged     []uint32
	ExpungedUIDs []imap.UID
	// Exists is the new number of messages when it grew, else 0.
	Exists uint32
	Recent uint32
	// Flags lists the sequence numbers (after Expunged) whose flags others
	// changed.
	Flags []uint32
	// NewKeywords says that Info().Flags grew.
	NewKeywords bool
}

// Update brings the view up to date. ErrGone is the end of it.
func (v *View) Update(ctx context.Context, expunge bool) (Update, error) {
	v.cache.drop(v.mb.o.Memory)
	for {
		if err := v.here(ctx); err != nil {
			return Update{}, err
		}
		u, here, err := v.update(ctx, expunge)
		if here {
			return u, err
		}
	}
}

// update is Update for where the mailbox is; here is false when it is not there
// any more.
func (v *View) update(ctx context.Context, expunge bool) (u Update, here bool, err error) {
	mb := v.mb
	mb.mu.Lock()
	defer mb.mu.Unlock()
	switch err := mb.refreshLocked(ctx); {
	case mb.dead:
		return u, false, nil
	case err != nil:
		return u, true, err
	case mb.version == v.version:
		u.Recent = v.recent.count(mb.st, v.uids)
		return u, true, nil
	}
	before, kept := len(v.uids), true
	if v.setGen == mb.setGen && !v.partly {
		v.uids = slices.Clip(mb.st.UIDs)
	} else {
		kept = v.merge(mb.st, expunge, &u)
	}
	if grown := len(v.uids) - (before - len(u.Expunged)); grown > 0 {
		u.Exists = uint32(len(v.uids))
	}
	if v.flagsGen != mb.flagsGen {
		v.flagsChanged(before-len(u.Expunged), &u)
		v.flagsGen = mb.flagsGen
	}
	if len(mb.st.Keywords) > v.keywords {
		v.keywords, u.NewKeywords = len(mb.st.Keywords), true
	}
	v.modSeq = mb.st.ModSeq
	if kept { // nothing is left to report
		v.version, v.setGen = mb.version, mb.setGen
	}
	if err := v.promise(ctx); err != nil {
		return u, true, err
	}
	u.Recent = v.recent.count(mb.st, v.uids)
	return u, true, nil
}

// flagsChanged lists the first n messages that changed after v.modSeq.
func (v *View) flagsChanged(n int, u *Update) {
	for i, m := range v.messages(v.mb.st, n) {
		if m.ModSeq > v.modSeq {
			u.Flags = append(u.Flags, uint32(i)+1)
		}
	}
}

// promise prepares what the view shows a client for the first time: the
// recent messages become this session's, and no crash may give the UIDs
// again. The mailbox is locked, but not against other processes.
func (v *View) promise(ctx context.Context) error {
	mb := v.mb
	if mb.dead {
		return nil
	}
	next := mb.st.UIDNext
	v.uidNext = next
	takes := !v.readOnly && mb.st.Recent < next
	if !takes && !mb.mustReserve() {
		return nil
	}
	return volume.Err(mb.flocked(ctx, func() error {
		if takes && mb.st.Recent < next {
			v.recent.take(mb.st.Recent, next-1)
			mb.batch.Recent(next)
			if err := mb.commitQuietly(); err != nil {
				return err
			}
		}
		return mb.reserve(ctx)
	}))
}
