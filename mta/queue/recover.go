package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
)

// recovery is a start: what the journal said, and what is to be made of it.
type recovery struct {
	*disk
	index    *index
	order    []envelope.QueueID
	messages map[envelope.QueueID]*recordAt
	marks    map[envelope.QueueID][]mark
	left     map[envelope.QueueID]byte
	asked    map[asked]bool
	deleted  map[envelope.QueueID][]journal.Position // where it says so
	settled  map[envelope.QueueID]*envelope.Settled  // by the report
	warned   map[envelope.QueueID]bool               // the sender has a report about the delay
	covered  map[uint64]uint64                       // boot -> highest checkpoint
	damaged  bool                                    // records may be missing
}

// recordAt is a message's record; its envelope is read again when needed.
type recordAt struct {
	pos        journal.Position
	size       int64
	external   bool
	content    int64 // size of an external one
	sum        checksum
	recipients int
	hold       bool // wanted when it was accepted
	whose      whose
}

// recover replays the journal and decides about each message in it.
func (d *disk) recover(ctx context.Context, o Options, x *index) error {
	r := &recovery{
		disk: d, index: x,
		messages: map[envelope.QueueID]*recordAt{}, marks: map[envelope.QueueID][]mark{},
		left: map[envelope.QueueID]byte{}, asked: map[asked]bool{}, deleted: map[envelope.QueueID][]journal.Position{}, covered: map[uint64]uint64{},
		settled: map[envelope.QueueID]*envelope.Settled{}, warned: map[envelope.QueueID]bool{},
	}
	err := d.ledger.open(ctx, o, func(journal.Damage) { r.damaged = true }, func(pos journal.Position, payload []byte) (bool, error) {
		keep, err := r.read(pos, payload)
		if err != nil {
			r.damaged = true
			d.corrupt.Record(fmt.Sprintf("record-%d-%d", pos.Segment, pos.Offset), payload, err)
		}
		return keep, nil
	})
	if err != nil {
		return err
	}
	r.settle()
	r.clearTemporary()
	var done []journal.Position
	for _, id := range r.order {
		if m := r.resolve(id); m != nil {
			if at := r.deleted[id]; len(at) > 0 {
				m.asked, r.deleted[id] = at[0], at[1:]
			}
			x.add(m, r.messages[id].whose)
		} else {
			done = append(done, r.messages[id].pos)
		}
	}
	for id := range r.spokenOf() {
		if r.messages[id] == nil {
			r.applyMarks(id)
		}
	}
	r.clearContents()
	for _, at := range r.deleted {
		done = append(done, at...)
	}
	for _, pos := range done {
		d.ledger.j.Unpin(pos)
	}
	d.ledger.j.Recovered()
	return nil
}

// read takes one record in. An error means that it is damaged in a way that
// its checksum did not show.
func (r *recovery) read(pos journal.Position, payload []byte) (keep bool, err error) {
	body := payload[1:]
	switch payload[0] {
	case kindMessage:
		rec, err := decodeMessage(body)
		if err != nil {
			return false, err
		}
		id := rec.env.ID
		if r.messages[id] != nil {
			return false, nil
		}
		if rec.env.Settles != nil {
			r.settled[id] = rec.env.Settles
		}
		r.order = append(r.order, id)
		r.messages[id] = &recordAt{pos, rec.size(), rec.external, rec.contentSize, rec.sum, len(rec.env.Recipients), rec.env.Hold, whoseIs(rec.env)}
		return true, nil
	case kindMark:
		m, err := decodeMark(body)
		if err == nil {
			r.marks[m.id] = append(r.marks[m.id], m)
		}
		return false, err
	case kindFarewell:
		g, err := decodeFarewell(body)
		if err == nil {
			r.left[g.id] = g.reason
		}
		return false, err
	case kindAsked:
		a, err := decodeAsked(body)
		if err == nil {
			r.asked[a] = true
		}
		if err == nil && a.what == askedDelete {
			r.deleted[a.id] = append(r.deleted[a.id], pos)
			return true, nil
		}
		return false, err
	case kindCheckpoint:
		c, err := decodeCheckpointed(body)
		if err == nil {
			r.covered[c.boot] = max(r.covered[c.boot], c.gen)
		}
		return false, err
	}
	return false, errFormat
}

// settle takes the reports in the journal as marks of what they are about: a report and its mark are one record, so that
// nobody is told of one failure twice. One that was never accepted settles nothing. The mark itself
// follows the report, and the message of which it speaks lies before it, so as long as that needs one it has it.
func (r *recovery) settle() {
	for report, s := range r.settled {
		if r.left[report] == leftDeleted {
			continue
		}
		for _, i := range s.Recipients {
			r.marks[s.ID] = append(r.marks[s.ID], mark{id: s.ID, index: i, effect: EffectFinal})
		}
		if s.Warned {
			r.warned[s.ID] = true
		}
	}
}

// doneRecipients are those of n whose marks count.
func (r *recovery) doneRecipients(id envelope.QueueID, n int) []rcpt {
	rcpts := make([]rcpt, n)
	for _, m := range r.marks[id] {
		if m.index < n && (m.effect == EffectFinal || m.gen <= r.covered[m.boot]) {
			rcpts[m.index].done = true
		}
	}
	return rcpts
}

// resolve decides about a message in the journal: nil when its record is not
// needed any more.
func (r *recovery) resolve(id envelope.QueueID) *message {
	rec := r.messages[id]
	m := newMessage(id, accepted(rec.hold))
	m.expire.Store(r.asked[asked{id, askedExpire}])
	if r.asked[asked{id, askedDelete}] {
		m.at.want = wantDelete // Next does it
	}
	m.size, m.place, m.pos, m.external, m.sum, m.replay = rec.size, Incoming, rec.pos, rec.external, rec.sum, true
	if r.left[id] == leftDeleted {
		return nil
	}
	has, err := r.recoverFile(id)
	if err != nil {
		// The file may be there. Deliver from the journal and remove the
		// file in the end.
		r.log.Error("queue file cannot be read", "id", id, "cause", err.Error())
		m.stray = Deferred
	} else if has {
		if r.left[id] == 0 {
			// The farewell did not reach the disk. Without one the message
			// would come back from here when its file is deleted.
			r.ledger.farewell(id, leftMoved)
		}
		return nil
	} else if r.left[id] == leftMoved && !r.corrupt.HasFile(id) {
		return nil
	}
	m.progress.rcpts, m.progress.warned = r.doneRecipients(id, rec.recipients), r.warned[id]
	if !m.progress.pending() {
		return nil
	}
	if rec.external {
		if err := r.files.statContent(id, rec.content); errors.Is(err, errDamaged) {
			return r.withoutContent(id, rec, m, err)
		}
	}
	m.seat = r.budget.trySeat(rec.whose)
	return m
}

// withoutContent sets a record aside whose content file is missing or has
// another size, and that file. While that cannot be done the message stays in
// the queue: each attempt logs why it fails, and the next start tries again.
func (r *recovery) withoutContent(id envelope.QueueID, rec *recordAt, m *message, why error) *message {
	payload, err := r.ledger.j.Load(rec.pos)
	if err != nil {
		r.log.Error("queue record cannot be read", "id", id, "why", why.Error(), "cause", err.Error())
	} else if r.corrupt.RecordOf(id, payload, why) && r.corrupt.Content(id, r.files.content(id)) {
		return nil
	}
	m.seat = r.budget.trySeat(rec.whose)
	return m
}

// recoverFile looks for the message's own file, which then counts, and brings
// it up to date. A file that is damaged while the journal still has the message
// is set aside and the record used.
func (r *recovery) recoverFile(id envelope.QueueID) (bool, error) {
	place, _, err := r.files.where(id)
	if place == "" || err != nil {
		return false, err
	}
	f, m, err := r.files.read(place, id)
	if errors.Is(err, errDamaged) {
		r.setFileAside(place, id, err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := f.Close(); err != nil {
		return false, err
	}
	// The name may be older than the last sync of its directory.
	if err := r.fs.SyncDir(filepath.Dir(r.files.path(place, id))); err != nil {
		return false, err
	}
	changed := r.asked[asked{id, askedExpire}] && !m.progress.expired
	m.progress.expired = m.progress.expired || changed
	if r.warned[id] && !m.progress.warned {
		m.progress.warned, changed = true, true
	}
	for i, done := range r.doneRecipients(id, len(m.env.Recipients)) {
		if done.done && !m.progress.rcpts[i].done {
			m.progress.rcpts[i] = rcpt{done: true}
			changed = true
		}
	}
	switch {
	case !m.progress.pending(), r.asked[asked{id, askedDelete}]:
		return true, r.files.removeDurably(place, id)
	case changed:
		m.progress.boot = 0
		return true, r.files.update(place, id, m.progress, m.mtime)
	}
	return true, nil
}

// spokenOf are the messages of which there are marks, or something was asked for.
func (r *recovery) spokenOf() map[envelope.QueueID]bool {
	all := map[envelope.QueueID]bool{}
	for id := range r.marks {
		all[id] = true
	}
	for a := range r.asked {
		all[a.id] = true
	}
	for id := range r.warned {
		all[id] = true
	}
	return all
}

// applyMarks is for a message that is not in the journal: marks of an attempt
// that the process did not survive, and what was asked for meanwhile.
func (r *recovery) applyMarks(id envelope.QueueID) {
	if _, err := r.recoverFile(id); err != nil {
		r.log.Error("queue file not brought up to date", "id", id, "cause", err.Error())
	}
}

// clearContents removes contents that no message needs: their Add was not
// finished, or the process died before the removal. One that no record speaks
// of in a journal that is damaged may belong to a lost record, and is kept.
func (r *recovery) clearContents() {
	dir := filepath.Join(r.dir, dirContent)
	entries, err := r.fs.ReadDir(dir)
	if err != nil {
		r.log.Error("queue contents not listed", "cause", err.Error())
		return
	}
	for _, e := range entries {
		id := envelope.QueueID(e.Name())
		switch {
		case r.index.has(id):
		case r.damaged && !r.speaksOf(id) && !r.inFile(id):
			r.corrupt.Content(id, r.files.content(id))
		default:
			r.removeQuietly(filepath.Join(dir, e.Name()))
		}
	}
}

// inFile says that a message has its own file, with its content.
func (r *recovery) inFile(id envelope.QueueID) bool {
	place, _, err := r.files.where(id)
	return place != "" && err == nil
}

// speaksOf says that a record about id was read.
func (r *recovery) speaksOf(id envelope.QueueID) bool {
	return r.messages[id] != nil || r.marks[id] != nil || r.left[id] != 0
}

// clearTemporary removes what stands in for unnamed files where the file
// system has none.
func (r *recovery) clearTemporary() {
	entries, err := r.fs.ReadDir(r.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".tmp-") {
			r.removeQuietly(filepath.Join(r.dir, e.Name()))
		}
	}
}

func (r *recovery) removeQuietly(path string) {
	if err := r.fs.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		r.log.Warn("queue file not removed", "file", path, "cause", err.Error())
	}
}
