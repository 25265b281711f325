package queue

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"

	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
)

// corrupt is the path of name in corrupt/.
func (q *Queue) corrupt(name string) string { return filepath.Join(q.o.Dir, dirCorrupt, name) }

// setAside moves a damaged file to corrupt/. It reports whether it lies there
// now.
func (q *Queue) setAside(place Place, id envelope.QueueID, why error) bool {
	path := q.places.path(place, id)
	err := q.places.setAside(path)
	if err != nil {
		q.o.Log.Error("queue file damaged and cannot be set aside", "id", id, "file", path, "why", why.Error(), "cause", err.Error())
		return false
	}
	q.o.Log.Error("queue file damaged, moved to corrupt", "id", id, "file", path, "why", why.Error())
	return true
}

// saveRecord keeps a record that is of no use to us in corrupt/. It reports
// whether it lies there now.
func (q *Queue) saveRecord(name string, payload []byte, why error) bool {
	path := q.corrupt(name)
	err := replaceFile(q.o.FS, path, payload)
	if err != nil {
		q.o.Log.Error("queue record damaged and cannot be kept", "file", path, "why", why.Error(), "cause", err.Error())
		return false
	}
	q.o.Log.Error("queue record damaged, kept in corrupt", "file", path, "why", why.Error())
	return true
}

// saveContent moves the content of a message whose record is lost, or set aside
// with it, to corrupt/, as ID.content.
func (q *Queue) saveContent(id envelope.QueueID) bool {
	from, to := q.places.content(id), q.corrupt(string(id)+".content")
	err := q.places.keep(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		q.o.Log.Error("queue content cannot be kept", "id", id, "file", from, "cause", err.Error())
		return false
	}
	q.o.Log.Error("queue content moved to corrupt", "id", id, "file", to)
	return true
}

// spoiled says that trying to read a record, a content or a file again is of no
// use.
func spoiled(err error) bool {
	return errors.Is(err, journal.ErrDamaged) || errors.Is(err, errFormat) || errors.Is(err, errDamaged)
}

// dropDamaged takes an active or claimed message out of the queue that was found
// to be damaged; m.moving is held. False: that failed, and the message stays.
func (q *Queue) dropDamaged(m *message, why error) bool {
	m.mu.Lock()
	place, pos := m.place, m.pos
	m.mu.Unlock()
	if place == Incoming {
		return q.dropSpoiled(m, why)
	}
	if !q.setAside(place, m.id, why) {
		return false
	}
	q.mu.Lock()
	delete(q.known, m.id)
	q.mu.Unlock()
	q.j.Release(pos)
	return true
}

// dropSpoiled takes a message out of the queue whose record in the journal
// cannot be read, or whose content is damaged, after record and content were
// set aside; m.moving is held. False: that failed, and the message stays.
func (q *Queue) dropSpoiled(m *message, why error) bool {
	m.mu.Lock()
	pos, external := m.pos, m.external
	m.mu.Unlock()
	if !q.saveRecord(string(m.id)+".record", q.rawRecord(pos), why) {
		return false
	}
	if external && !q.saveContent(m.id) {
		return false
	}
	q.leaveJournal(m)
	q.mu.Lock()
	delete(q.known, m.id)
	q.mu.Unlock()
	q.j.Release(pos)
	return true
}

// rawStep is what is lost at most around an unreadable place.
const rawStep = 4096

// rawRecord reads what can be read of a record; the rest is zeros.
func (q *Queue) rawRecord(pos journal.Position) []byte {
	b := make([]byte, pos.Length)
	for off := 0; off < len(b); off += rawStep {
		part := b[off:min(off+rawStep, len(b))]
		if n, err := q.j.ReadAt(pos, part, int64(off)); err != nil {
			clear(part[n:])
		}
	}
	return b
}

// readBack makes sure that a message in the journal is in memory and has its
// content.
func (q *Queue) readBack(m *message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.place != Incoming {
		return nil
	}
	if m.env == nil {
		if err := q.load(m); err != nil {
			return err
		}
	}
	c, err := q.content(m)
	if err != nil {
		return err
	}
	return c.Close()
}

// readTries is how many rounds of shorten a message must have been unreadable
// in, one after the other, before it is given up.
const readTries = 3

// unreadable says that the disk does not give back what was written, which may
// pass: a read error, a file system that found itself damaged (EUCLEAN, EBADMSG)
// or a content that has become shorter. Want of files or of memory is not it.
func unreadable(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EUCLEAN) || errors.Is(err, syscall.EBADMSG) ||
		errors.Is(err, io.ErrUnexpectedEOF)
}

// rescue is for a message that keeps the oldest segment in use and could not
// be read because of why; m.moving is held. Were it to stay for good, no
// segment would be used again and all mail be refused in the end. It is set
// aside when its record is spoiled or its content gone; when the disk does not
// give it back, only if that repeats and the journal is about to be full. Else
// it stays, and why is returned. An active one ends by itself.
func (q *Queue) rescue(m *message, active bool, why error) error {
	switch {
	case active:
		return why
	case spoiled(why) || errors.Is(why, fs.ErrNotExist):
	case unreadable(why):
		m.unreadable++
		if u := q.j.Usage(); m.unreadable < readTries || u.Segments < u.Max-1 {
			return why
		}
	default:
		m.unreadable = 0
		return why
	}
	if !q.dropDamaged(m, why) {
		return why
	}
	return nil
}
