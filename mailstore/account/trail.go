package account

import (
	"toastmaster/internal/lockorder"
	"toastmaster/mailstore/volume"
)

// FolderID is a mailbox by its folder and its UIDVALIDITY, which tells it from one that was
// made later under the same name.
type FolderID struct {
	Dir      string
	Validity uint32
}

// maxTrail bounds what is remembered of an account's renames. Views that would
// need more get ErrGone: their sessions end with BYE and connect anew. It is no
// parameter: it is for mailboxes that were open in a session when they were renamed,
// and nobody has a thousand of those in one account.
const maxTrail = 1000

// Trail is where the mailboxes went that sessions had open; as long as the
// account is in memory.
type Trail struct {
	mu lockorder.Mutex[volume.InnerLock]
	to map[FolderID]string
}

// Renamed remembers that a mailbox was renamed. Its new folder leads nowhere, even
// if it was there before.
func (t *Trail) Renamed(from FolderID, to string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.to == nil || len(t.to) >= maxTrail {
		t.to = map[FolderID]string{}
	}
	t.to[from] = to
	delete(t.to, FolderID{to, from.Validity})
}

// End is where the trail of a mailbox leads; false when there is none.
func (t *Trail) End(a FolderID) (dir string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		to, next := t.to[a]
		if !next {
			return a.Dir, ok
		}
		a.Dir, ok = to, true
	}
}
