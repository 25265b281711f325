package queue

import (
	"context"
	"errors"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// finish takes a message out of the queue that has nobody pending. Its files
// stay until a checkpoint has made the store durable and the marks are on disk.
func (q *Queue) finish(m *message) {
	m.moving.Lock()
	defer m.moving.Unlock()
	c, filed := q.leftovers(m)
	q.leaveJournal(m)
	if !q.depart(m, filed, len(c.paths) > 0) {
		q.j.Release(c.pin)
		return
	}
	q.cleanLater(c)
}

// leftovers are what is to be removed of m when it has left, and whether one of
// the files is in deferred/ or hold/.
func (q *Queue) leftovers(m *message) (c cleanup, filed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c = cleanup{id: m.id, pin: m.pos}
	if m.place != Incoming {
		c.paths = append(c.paths, q.places.path(m.place, m.id))
	}
	if m.file != "" {
		c.paths = append(c.paths, q.places.path(m.file, m.id))
	}
	if m.place == Incoming && m.external {
		c.paths = append(c.paths, q.places.content(m.id))
	}
	return c, m.hasFile()
}

// depart takes m out of what is known or, with files left, notes that they
// are all there is of it. It returns left.
func (q *Queue) depart(m *message, filed, left bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if left {
		m.stage, m.filed = stageFinished, filed
	} else {
		delete(q.known, m.id)
	}
	return left
}

// leaveJournal gives back what a message in the journal holds in memory.
func (q *Queue) leaveJournal(m *message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	q.memory.Add(m.counted)
	m.counted, m.text = 0, nil
	if m.seat {
		m.seat = false
		q.room.Release(1)
	}
}

// again puts an active message back among the new ones.
func (q *Queue) again(m *message) {
	m.park()
	q.mu.Lock()
	defer q.mu.Unlock()
	m.stage = stageIncoming
	q.incoming.push(m)
	signal(q.wake)
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

// deferMessage gives an active or claimed message its file in place, due at
// next. The recipients that are done in the store are settled first, so that
// the file needs no second kind of done. A message that is found to be damaged
// goes to corrupt/ instead, and the answer is ErrNoMessage.
func (q *Queue) deferMessage(ctx context.Context, m *message, place Place, next time.Time) error {
	m.moving.Lock()
	defer m.moving.Unlock()
	q.mu.Lock()
	m.hold = place == Hold // from here on what is asked for is about the file
	q.mu.Unlock()
	err := q.settleToFile(ctx, m, place, next)
	if errors.Is(err, errSpoiled) && q.dropDamaged(m, err) {
		return ErrNoMessage
	}
	m.mu.Lock()
	filed := m.hasFile()
	m.mu.Unlock()
	if err != nil {
		q.o.Log.Error("queue message not deferred", "id", m.id, "cause", err.Error())
		q.mu.Lock()
		if m.filed = filed; m.requeue {
			m.requeue, next = false, q.o.Clock.Now()
		}
		q.mu.Unlock()
		q.wait(m, next)
		return diskError(err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	m.filed = filed
	place = q.asked(m, place)
	if m.requeue {
		m.requeue, next = false, q.o.Clock.Now()
	}
	if m.remove { // asked for while the file was written
		m.stage, m.next = stageWaiting, q.o.Clock.Now()
		q.due.add(m.id, m.next, true)
		signal(q.wake)
		return nil
	}
	delete(q.known, m.id)
	if place == Deferred {
		q.due.add(m.id, next, false)
		q.due.flush(m.id, m.flushed)
		signal(q.wake)
	}
	return nil
}

// asked does what was asked for while the file of m was written: a hold, or the
// end of one. It returns where the file is. q.mu and m.moving are held; q.mu is
// given up meanwhile.
func (q *Queue) asked(m *message, place Place) Place {
	for !m.remove && m.hold != (place == Hold) {
		hold := m.hold
		q.mu.Unlock()
		var err error
		if hold {
			if err = q.places.move(Deferred, Hold, m.id); err == nil {
				m.setPlace(Hold)
			}
		} else {
			err = q.releaseHeld(m)
		}
		q.mu.Lock()
		if err != nil {
			q.o.Log.Error("queue message not held, or not released", "id", m.id, "cause", err.Error())
			return place
		}
		if hold {
			place = Hold
		} else {
			place, m.requeue = Deferred, true // it is due at once
		}
	}
	return place
}

// settleToFile is settle and toFile. It fences them: a message that cannot be
// written, for whatever reason, must wait and not be forgotten until the next
// start. m.moving is held.
func (q *Queue) settleToFile(ctx context.Context, m *message, place Place, next time.Time) error {
	return q.fenced(m.id, func() error {
		if err := q.settle(ctx, m); err != nil {
			return err
		}
		return q.toFile(m, place, next)
	})
}

// fenced runs f, which works on the message id: its panic is its error.
func (q *Queue) fenced(id envelope.QueueID, f func() error) error {
	return service.Fenced(q.o.Log, f, "service", "queue", "id", id)
}

// toFile makes the file of m in place durable and lets go of its old home;
// m.moving is held.
func (q *Queue) toFile(m *message, place Place, next time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.env == nil {
		if err := q.load(m); err != nil {
			return m.noteDamage(err)
		}
	}
	m.ensureState()
	s := m.snapshot(q.boot, q.durable.Load())
	if m.place != Incoming {
		if m.damage != nil {
			return m.damage
		}
		return m.noteDamage(q.updateFile(m, place, s, next))
	}
	content, err := q.wholeContent(m)
	if err != nil {
		return err
	}
	defer content.Close()
	if m.file != "" && m.file != place {
		if err := q.places.removeDurably(m.file, m.id); err != nil {
			return err
		}
	}
	m.file = place
	if err := q.places.create(place, m.env, content, s, next); err != nil {
		return err
	}
	m.file = ""
	q.moved(m, place)
	return nil
}

func (q *Queue) updateFile(m *message, place Place, s *state, next time.Time) error {
	if err := q.places.update(m.place, m.id, s, next); err != nil {
		return err
	}
	if place != m.place {
		if err := q.places.move(m.place, place, m.id); err != nil {
			return err
		}
		m.place = place
	}
	q.j.Release(m.pos)
	m.pos = journal.Position{}
	return nil
}

// moved lets go of the record of a message that has a durable file now; m.mu
// is held. Should the mark be lost, recovery finds the file.
func (q *Queue) moved(m *message, place Place) {
	if err := q.j.AppendLazy(gone{m.id, goneMoved}.encode()); err != nil {
		q.o.Log.Warn("queue mark not written", "id", m.id, "cause", err.Error())
	}
	if m.external {
		q.cleanLater(cleanup{paths: []string{q.places.content(m.id)}})
	}
	q.j.Release(m.pos)
	m.pos, m.place, m.external, m.text = journal.Position{}, place, false, nil
	q.memory.Add(m.counted)
	m.counted = 0
	if m.seat {
		m.seat = false
		q.room.Release(1)
	}
}

// removeActive deletes a message that is pending, durably. What it delivered
// into the store is settled first: the queue has the only durable copy. After
// an error it waits in memory, and Next tries to remove it again.
func (q *Queue) removeActive(ctx context.Context, m *message) error {
	err := q.fenced(m.id, func() error {
		if err := q.settle(ctx, m); err != nil {
			return err
		}
		if err := q.forgetDurably(ctx, m); err != nil {
			return err
		}
		m.setRemoved()
		q.finish(m)
		return nil
	})
	if err == nil {
		q.o.Log.Event(msglog.Removed{ID: m.id, Reason: "deleted"})
		return nil
	}
	q.mu.Lock()
	m.remove = true
	q.mu.Unlock()
	q.wait(m, q.o.Clock.Now().Add(q.cfg.RunDelay))
	return diskError(err)
}

// forgetDurably writes that m is deleted, or removes its file.
func (q *Queue) forgetDurably(ctx context.Context, m *message) error {
	m.mu.Lock()
	place, file := m.place, m.file
	m.mu.Unlock()
	if place == Incoming {
		pos, err := q.j.Append(ctx, gone{m.id, goneDeleted}.encode())
		if err != nil {
			return err
		}
		q.j.Release(pos)
		if file == "" {
			return nil
		}
		place = file
	}
	return q.removeFile(ctx, place, m.id)
}

// removeFile removes a message file durably. Marks in the journal that speak
// of an older home of the message are made durable before.
func (q *Queue) removeFile(ctx context.Context, place Place, id envelope.QueueID) error {
	if err := q.j.Flush(ctx); err != nil {
		return err
	}
	return q.places.removeDurably(place, id)
}
