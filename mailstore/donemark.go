package mailstore

import (
	"context"
	"encoding/binary"
	"sync"

	"toastmaster/internal/journal"
)

// doneMarks writes into a journal up to where a checkpoint has made its messages
// durable in their Maildirs. Without that every start would look for all that
// the journal still has, which after a quiet time is weeks of mail, and bring
// back what its owner has removed so long ago that the index has forgotten it.
type doneMarks struct {
	store *Store

	mu   sync.Mutex
	j    *journal.Journal // nil: no marks, there are records below that are not finished
	last journal.Position
}

// begin is called when everything in the journal is finished.
func (d *doneMarks) begin(j *journal.Journal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.j = j
}

// checkpoint is the journal's Options.Checkpoint. A message is written into its
// Maildir before its record, so what the journal has when the checkpoint begins
// is durable when it ends.
func (d *doneMarks) checkpoint(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var at journal.Position
	if d.j != nil {
		at = d.j.Written()
	}
	if err := d.store.Checkpoint(ctx); err != nil {
		return err
	}
	if at == d.last || at == (journal.Position{}) {
		return nil
	}
	b := binary.AppendUvarint([]byte{journalVersion, kindDone}, at.Segment)
	if err := d.j.AppendLazy(binary.AppendUvarint(b, uint64(at.Offset))); err != nil {
		d.store.log.Warn("mark of the store's journal not written", "cause", err)
		return nil
	}
	d.last = at
	return nil
}

// before says that a record lies below a mark.
func before(pos, mark journal.Position) bool {
	return pos.Segment < mark.Segment || pos.Segment == mark.Segment && pos.Offset < mark.Offset
}
