package queue

import (
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
func (q *Queue) run(ctx context.Context, j job) error {
	err := j.answer
	for j.work != doNothing {
		var e event
		if e, err = q.work(ctx, j); e == evNone {
			break
		}
		j = q.index.event(j.m, e)
	}
	if j.m != nil && err == nil {
		err = j.answer
	}
	return err
}

// work does one piece of work on the disk and says how it went. A panic is a
// failure: the message must wait and not be forgotten until the next start.
func (q *Queue) work(ctx context.Context, j job) (event, error) {
	m, left := j.m, false
	if j.work == doRead && m.isRead() {
		return evOK, nil
	}
	err := service.Fenced(q.o.Log, func() (err error) {
		switch j.work {
		case doRead:
			return q.disk.readBack(m, false)
		case doDefer:
			return q.disk.toFile(ctx, j, Deferred)
		case doHold:
			return q.disk.toFile(ctx, j, Hold)
		case doReset:
			return q.disk.reset(m, j.next)
		case doCopyOut:
			return q.disk.copyOut(ctx, j)
		case doRemove:
			return q.disk.remove(ctx, m)
		case doSetAside:
			return q.disk.setAside(m)
		case doLeave:
			left = q.disk.leave(m)
		}
		return nil
	}, "service", "queue", "id", m.id)
	e := j.outcome(err)
	switch {
	case e == evDamaged:
		return e, err
	case err != nil:
		if j.at.stage != active {
			m.park()
		}
		q.logFailure(j, e, err)
	case j.work == doLeave && j.at.want == wantDelete:
		q.o.Log.Event(msglog.Removed{ID: m.id, Reason: "deleted"})
	}
	if j.work == doLeave && err == nil {
		if e = evNone; left {
			e = evCleared
		}
	}
	return e, err
}

// outcome is the event that the end of the work is.
func (j job) outcome(err error) event {
	switch {
	case err == nil:
		return evOK
	case j.work == doSetAside:
		return evFailed
	case errors.Is(err, errSpoiled):
		return evDamaged
	case j.work == doRead && !j.at.inMemory() && errors.Is(err, fs.ErrNotExist):
		return evVanished
	}
	return evFailed
}

// logFailure is for work that nobody else complains about: the error of a call that
// is about a file goes to who calls.
func (q *Queue) logFailure(j job, e event, err error) {
	switch {
	case j.work == doRead && e != evVanished:
		q.o.Log.Error("queue message cannot be read", "id", j.m.id, "place", string(j.at.where.place()), "cause", err.Error())
	case j.work != doDefer && j.work != doHold:
	case j.at.inMemory():
		q.o.Log.Error("queue message not deferred", "id", j.m.id, "cause", err.Error())
	case j.at.want != wantNothing:
		q.o.Log.Error("queue message not held, or not released", "id", j.m.id, "cause", err.Error())
	}
}
