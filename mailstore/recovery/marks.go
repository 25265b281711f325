package recovery

import (
	"context"
	"encoding/binary"

	"toastmaster/internal/journal"
	"toastmaster/internal/lockorder"
	"toastmaster/mailstore/volume"
)

// doneMarks writes into a journal up to where a checkpoint has made its messages
// durable in their Maildirs. Without that every start would look for all that
// the journal still has, which after a quiet time is weeks of mail, and bring
// back what its owner has removed so long ago that the index has forgotten it.
type doneMarks struct {
	vol *volume.Volume

	mu   lockorder.Mutex[volume.MarksLock]
	j    *journal.Journal // nil: no marks, there are records below that are not finished
	last journal.Position

	// open are the operations under way, each with a position before its
	// records. The lock is not held over a sync.
	openMu lockorder.Mutex[volume.InnerLock]
	open   map[*Operation]journal.Position
}

func (d *doneMarks) enter(o *Operation) {
	d.openMu.Lock()
	defer d.openMu.Unlock()
	if d.open == nil {
		d.open = map[*Operation]journal.Position{}
	}
	d.open[o] = o.acct.j.own.Written()
}

func (d *doneMarks) leave(o *Operation) {
	d.openMu.Lock()
	defer d.openMu.Unlock()
	delete(d.open, o)
}

// done is the position before which every record was acted upon. Written comes
// first: who enters after it writes behind it.
func (d *doneMarks) done() journal.Position {
	at := d.j.Written()
	d.openMu.Lock()
	defer d.openMu.Unlock()
	for _, start := range d.open {
		if below(start, at) {
			at = start
		}
	}
	return at
}

// begin is called when everything in the journal is finished.
func (d *doneMarks) begin(j *journal.Journal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.j = j
}

// checkpoint is the journal's Options.Checkpoint. A message is written into its
// Maildir before its record, so what the journal has when the checkpoint begins
// is durable when it ends; but not that of operations under way, whose records
// come first.
func (d *doneMarks) checkpoint(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var at journal.Position
	if d.j != nil {
		at = d.done()
	}
	if err := d.vol.Checkpoint(ctx); err != nil {
		return err
	}
	if !below(d.last, at) {
		return nil
	}
	b := binary.AppendUvarint([]byte{journalVersion, byte(Done)}, at.Segment)
	if err := d.j.AppendLazy(binary.AppendUvarint(b, uint64(at.Offset))); err != nil {
		d.vol.Log.Warn("mark of the store's journal not written", "cause", err)
		return nil
	}
	d.last = at
	return nil
}

// below says that a record lies below a mark.
func below(pos, mark journal.Position) bool {
	return pos.Segment < mark.Segment || pos.Segment == mark.Segment && pos.Offset < mark.Offset
}
