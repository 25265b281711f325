package queue

import (
	"cmp"
	"context"
	"errors"
	"io/fs"

	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// advance takes m through the table at e, and does all that follows.
func (q *Queue) advance(ctx context.Context, m *message, e event) error {
	return q.run(ctx, q.index.event(m, e))
}

// run does the work of a transition, takes the message through the table with how
// it went, and so on until there is nothing left to do. It returns the error of
// the last piece of work, or the answer of the last transition.
func (q *Queue) run(ctx context.Context, t task) error {
	err := t.answer
	for t.work != doNothing {
		var e event
		if e, err = q.work(ctx, t); e == evNone {
			break
		}
		t = q.index.event(t.m, e)
	}
	if t.m != nil && err == nil {
		err = t.answer
	}
	return err
}

// work does one piece of work on the disk and says how it went. A panic is a
// failure: the message must wait and not be forgotten until the next start.
func (q *Queue) work(ctx context.Context, t task) (event, error) {
	m, left := t.m, false
	if t.work == doRead && m.isRead() && q.index.enter(m, whoseIs(m.env)) {
		return evOK, nil
	}
	err := service.Fenced(q.o.Log, func() (err error) {
		switch t.work {
		case doRead:
			return q.read(t)
		case doDefer:
			return q.disk.toFile(ctx, t, Deferred)
		case doHold:
			return q.disk.toFile(ctx, t, Hold)
		case doReset:
			return q.disk.reset(m, t.next)
		case doCopyOut:
			return q.disk.copyOut(ctx, t, Deferred)
		case doCopyToHold:
			return q.disk.copyOut(ctx, t, Hold)
		case doRemove:
			return q.disk.remove(ctx, m)
		case doSetAside:
			return q.disk.setAside(m)
		case doLeave:
			left = q.disk.leave(m)
		}
		return nil
	}, "service", "queue", "id", m.id)
	e := t.outcome(err)
	switch {
	case e == evDamaged, e == evOK && err != nil:
		return e, err
	case errors.Is(err, errNoRoom):
		return evFailed, err
	case err != nil:
		if t.at.stage != active {
			m.park()
		}
		q.logFailure(t, e, err)
	case t.work == doLeave && t.at.want == wantDelete:
		q.o.Log.Event(msglog.Removed{ID: m.id, Reason: "deleted"})
	}
	if t.work == doLeave && err == nil {
		if e = evNone; left {
			e = evCleared
		}
	}
	return e, err
}

// read reads what an attempt needs. A message that is due, and for which there is no room in
// the window, is put off.
func (q *Queue) read(t task) error {
	m := t.m
	if err := q.disk.readBack(m, false); err != nil {
		return err
	}
	if q.index.enter(m, whoseIs(m.env)) {
		return nil
	}
	if !t.at.inMemory() {
		q.disk.putOff(m, q.o.Clock.Now().Add(cmp.Or(q.maximalBackoff(), q.cfg.RunDelay)))
	}
	return errNoRoom
}

// outcome is the event that the end of the work is.
func (t task) outcome(err error) event {
	switch {
	case err == nil, errors.Is(err, ErrUnchanged): // it is as it should be, and was before
		return evOK
	case t.work == doSetAside:
		return evFailed
	case errors.Is(err, errSpoiled):
		return evDamaged
	case t.work == doRead && !t.at.inMemory() && errors.Is(err, fs.ErrNotExist):
		return evVanished
	}
	return evFailed
}

// logFailure is for work that nobody else complains about: the error of a call that
// is about a file goes to who calls.
func (q *Queue) logFailure(t task, e event, err error) {
	switch {
	case t.work == doRead && e != evVanished:
		q.o.Log.Error("queue message cannot be read", "id", t.m.id, "place", string(t.at.where.place()), "cause", err.Error())
	case t.work != doDefer && t.work != doHold:
	case t.at.inMemory():
		q.o.Log.Error("queue message not deferred", "id", t.m.id, "cause", err.Error())
	case t.at.want != wantNothing:
		q.o.Log.Error("queue message not held, or not released", "id", t.m.id, "cause", err.Error())
	}
}
