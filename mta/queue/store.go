package queue

import (
	"context"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
)

// readBack makes sure that m is in memory as far as an attempt needs it; with
// content set it looks at that, too.
func (q *Queue) readBack(m *message, content bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.env == nil {
		if err := q.load(m); err != nil {
			return m.noteDamage(err)
		}
	}
	if !content || m.place != Incoming {
		return nil
	}
	c, err := q.content(m)
	if err != nil {
		return err
	}
	return c.Close()
}

// load reads a message from its file or its record; m.mu is held.
func (q *Queue) load(m *message) error {
	if m.place == Incoming {
		r, err := q.loadRecord(m)
		if err != nil {
			return err
		}
		m.env, m.text = r.env, r.text
		q.account(m)
		return nil
	}
	f, mf, err := q.places.read(m.place, m.id)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	m.env, m.progress, m.size = mf.env, *mf.progress, mf.contentSize
	m.replay = mf.progress.boot != q.boot
	// Marks of this time in the active window must stay in the journal until
	// the file has the new progress.
	m.pos = q.j.Pin()
	return nil
}

func (q *Queue) loadRecord(m *message) (*record, error) {
	payload, err := q.j.Load(m.pos)
	if err != nil {
		return nil, err
	}
	return decodeMessage(payload[1:])
}

// settle returns when what was delivered into the store of m is durable.
func (q *Queue) settle(ctx context.Context, m *message) error {
	m.mu.Lock()
	open := m.unsettled(q.durable.Load())
	m.mu.Unlock()
	if !open {
		return nil
	}
	return q.j.Checkpoint(ctx)
}

// toFile brings a message into its file in place, durably: written from the
// journal, brought up to date, or moved. The recipients that are done in the
// store are settled first, so that the file needs no second kind of done.
func (q *Queue) toFile(ctx context.Context, j job, place Place) error {
	m := j.m
	next := j.next
	if next.IsZero() {
		next = q.o.Clock.Now()
	}
	if err := q.settle(ctx, m); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.place == Incoming:
		return q.writeFile(m, place, next)
	case !j.at.loaded:
		return q.moveFile(m, place, next)
	case m.damage != nil:
		return m.damage
	}
	m.ensureProgress()
	if err := q.places.update(m.place, m.id, m.snapshot(q.boot, q.durable.Load()), next); err != nil {
		return m.noteDamage(err)
	}
	if place != m.place {
		if err := q.rename(m, place); err != nil {
			return err
		}
	}
	q.j.Release(m.pos)
	m.pos = journal.Position{}
	return nil
}

// writeFile makes the file of a message in the journal and lets go of its record;
// m.mu is held. Should the mark be lost, recovery finds the file.
func (q *Queue) writeFile(m *message, place Place, next time.Time) error {
	if m.env == nil {
		if err := q.load(m); err != nil {
			return m.noteDamage(err)
		}
	}
	m.ensureProgress()
	content, err := q.wholeContent(m)
	if err != nil {
		return err
	}
	defer content.Close()
	if m.stray != "" && m.stray != place {
		if err := q.places.discard(m.stray, m.id); err != nil {
			return err
		}
	}
	m.stray = place
	if err := q.places.create(place, m.env, content, m.snapshot(q.boot, q.durable.Load()), next); err != nil {
		return err
	}
	m.stray = ""
	q.bidFarewell(m.id, leftMoved)
	if m.external {
		q.cleanLater(departure{paths: []string{q.places.content(m.id)}})
	}
	q.j.Release(m.pos)
	m.pos, m.place, m.external = journal.Position{}, place, false
	q.giveBack(m)
	return nil
}

// bidFarewell notes that a record is not the home of its message any more.
func (q *Queue) bidFarewell(id envelope.QueueID, reason byte) {
	if err := q.j.AppendLazy(farewell{id, reason}.encode()); err != nil {
		q.o.Log.Warn("queue mark not written", "id", id, "cause", err.Error())
	}
}

// moveFile moves a message that is in its file only, due at next; m.mu is held.
func (q *Queue) moveFile(m *message, place Place, next time.Time) error {
	if place == Deferred {
		if err := q.o.FS.Chtimes(q.places.path(m.place, m.id), next, next); err != nil {
			return err
		}
	}
	if place == m.place {
		return nil
	}
	return q.rename(m, place)
}

// rename moves the file of m; m.mu is held. m knows where it is also after a
// failure.
func (q *Queue) rename(m *message, place Place) error {
	err := q.places.move(m.place, place, m.id)
	if err != nil {
		if at, _, statErr := q.places.where(m.id); statErr != nil || at == "" {
			return err
		} else {
			place = at
		}
	}
	m.place = place
	return err
}

// reset forgets attempts and reasons of a message that is in its file only, and
// brings it into deferred/, due at next.
func (q *Queue) reset(m *message, next time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, mf, err := q.places.read(m.place, m.id)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	s := mf.progress
	s.attempts, s.warned = 0, false
	for i := range s.rcpts {
		s.rcpts[i].last = nil
	}
	if err := q.places.update(m.place, m.id, s, next); err != nil {
		return err
	}
	if m.place != Hold {
		return nil
	}
	return q.moveFile(m, Deferred, next)
}

// remove deletes a message that is pending, durably. What it delivered into the
// store is settled first: the queue has the only durable copy.
func (q *Queue) remove(ctx context.Context, m *message) error {
	if err := q.settle(ctx, m); err != nil {
		return err
	}
	m.mu.Lock()
	place, file := m.place, m.stray
	m.mu.Unlock()
	if place == Incoming {
		pos, err := q.j.Append(ctx, farewell{m.id, leftDeleted}.encode())
		if err != nil {
			return err
		}
		q.j.Release(pos)
	} else {
		file = place
	}
	if file != "" {
		// Marks in the journal that speak of an older home of the message
		// must not outlive its file.
		if err := q.j.Flush(ctx); err != nil {
			return err
		}
		if err := q.removeFile(place, file, m.id); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removed = true
	return nil
}

// removeFile removes the file of a message that lives in place.
func (q *Queue) removeFile(place, file Place, id envelope.QueueID) error {
	if place == Incoming {
		return q.places.discard(file, id)
	}
	return q.places.removeDurably(file, id)
}

// leave takes a message out of the queue that has nobody pending. Its files stay
// until a checkpoint has made the store durable and the marks are on disk. It
// reports whether it has none.
func (q *Queue) leave(m *message) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := departure{m: m, pin: m.pos}
	if m.place != Incoming && !m.removed {
		c.paths = append(c.paths, q.places.path(m.place, m.id))
	}
	if m.stray != "" && !m.removed {
		c.stray = q.places.path(m.stray, m.id)
	}
	if m.place == Incoming && m.external {
		c.paths = append(c.paths, q.places.content(m.id))
	}
	q.giveBack(m)
	if len(c.paths) == 0 && c.stray == "" {
		q.j.Release(c.pin)
		return true
	}
	q.cleanLater(c)
	return false
}

// giveBack gives back what a message in the journal holds in memory; m.mu is held.
func (q *Queue) giveBack(m *message) {
	q.memory.Add(m.counted)
	m.counted, m.text = 0, nil
	if m.seat {
		m.seat = false
		q.room.Release(1)
	}
}
