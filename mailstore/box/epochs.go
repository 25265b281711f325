package box

import "toastmaster/mailstore/volume"

// epochs say what of a mailbox a checkpoint covers. Its lock is held.
type epochs struct {
	points *volume.Checkpoints
	// wrote is the epoch of the last change, added that of the last message
	// that came, and addedFrom the first UID that no checkpoint covers then.
	wrote, added uint64
	addedFrom    uint32
}

// changed notes a change.
func (e *epochs) changed() { e.wrote = e.points.Changed() }

// came notes that messages from a UID on came just now.
func (e *epochs) came(uid uint32) {
	if e.added <= e.points.Durable() || uid < e.addedFrom {
		e.addedFrom = uid
	}
	e.added = e.points.Changed()
}

// fresh says that a message up to this UID may be covered by no checkpoint.
func (e *epochs) fresh(uid uint32) bool { return e.added > e.points.Durable() && uid >= e.addedFrom }

// settled says that a checkpoint covers all.
func (e *epochs) settled() bool { return e.wrote <= e.points.Durable() }
