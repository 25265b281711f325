package queue

import (
	"errors"
	"fmt"
	"io/fs"

	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
	"toastmaster/mta/queue/salvage"
)

// spoiled says that trying to read a record, a content or a file again is of no
// use.
func spoiled(err error) bool {
	return errors.Is(err, journal.ErrDamaged) || errors.Is(err, errFormat) || errors.Is(err, errDamaged)
}

// setAside brings a damaged message, which somebody works on, to corrupt/: its file,
// or record and content. The error says why it is damaged: it could not be done,
// and everything is as before.
func (d *disk) setAside(m *message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.place != Incoming {
		if !d.setFileAside(m.place, m.id, m.damage) {
			return m.damage
		}
		d.ledger.j.Unpin(m.pos)
		d.ledger.forgetAsked(m)
		return nil
	}
	pos := m.pos
	raw := salvage.Raw(int(pos.Length), func(p []byte, off int64) (int, error) { return d.ledger.j.ReadAt(pos, p, off) })
	if !d.corrupt.RecordOf(m.id, raw, m.damage) {
		return m.damage
	}
	if m.external && !d.corrupt.Content(m.id, d.files.content(m.id)) {
		return m.damage
	}
	d.budget.giveBack(m)
	d.ledger.j.Unpin(m.pos)
	d.ledger.forgetAsked(m)
	return nil
}

// readTries is how many rounds of shorten a message must have been unreadable
// in, one after the other, before it is given up.
const readTries = 3

// setFileAside moves a damaged file to corrupt/. It reports whether it lies there
// now.
func (d *disk) setFileAside(place Place, id envelope.QueueID, why error) bool {
	path := d.files.path(place, id)
	if !d.corrupt.File(id, path, why) {
		return false
	}
	d.files.count(path, -1)
	return true
}

// judge is for a message that keeps the oldest segment in use and could not be read
// because of why. Were it to stay for good, no segment would be used again and all
// mail be refused in the end. It is damaged when its record is spoiled or its
// content gone; when the disk does not give it back, only if that repeats and the
// journal is about to be full. Else it stays. An active one ends by itself.
func (d *disk) judge(m *message, active bool, why error) error {
	switch {
	case active:
		return why
	case spoiled(why) || errors.Is(why, fs.ErrNotExist):
	case salvage.Unreadable(why):
		m.unreadable++
		if u := d.ledger.j.Usage(); m.unreadable < readTries || u.Segments < u.Max-1 {
			return why
		}
	default:
		m.unreadable = 0
		return why
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.damage = fmt.Errorf("%w: %w", errSpoiled, why)
	return m.damage
}
