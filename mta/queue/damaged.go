package queue

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"

	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
)

// corrupt is the path of name in corrupt/.
func (q *Queue) corrupt(name string) string { return filepath.Join(q.o.Dir, dirCorrupt, name) }

// setFileAside moves a damaged file to corrupt/. It reports whether it lies there
// now.
func (q *Queue) setFileAside(place Place, id envelope.QueueID, why error) bool {
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

// setAside brings a damaged message, which somebody works on, to corrupt/: its file,
// or record and content. The error says why it is damaged: it could not be done,
// and everything is as before.
func (q *Queue) setAside(m *message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.place != Incoming {
		if !q.setFileAside(m.place, m.id, m.damage) {
			return m.damage
		}
		q.j.Release(m.pos)
		return nil
	}
	if !q.saveRecord(string(m.id)+".record", q.rawRecord(m.pos), m.damage) {
		return m.damage
	}
	if m.external && !q.saveContent(m.id) {
		return m.damage
	}
	q.giveBack(m)
	q.j.Release(m.pos)
	return nil
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

// judge is for a message that keeps the oldest segment in use and could not be read
// because of why. Were it to stay for good, no segment would be used again and all
// mail be refused in the end. It is damaged when its record is spoiled or its
// content gone; when the disk does not give it back, only if that repeats and the
// journal is about to be full. Else it stays. An active one ends by itself.
func (q *Queue) judge(m *message, active bool, why error) error {
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
	m.mu.Lock()
	defer m.mu.Unlock()
	m.damage = fmt.Errorf("%w: %w", errSpoiled, why)
	return m.damage
}
