package queue

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/internal/service"
)

// scanLoop looks for deferred messages that come due before the next scan.
func (q *Queue) scanLoop(ctx context.Context) {
	timer := q.o.Clock.NewTimer(q.cfg.RunDelay)
	defer timer.Stop()
	for {
		if err := service.Fenced(q.o.Log, func() error { return q.scan(ctx) }, "service", "queue"); err != nil && ctx.Err() == nil {
			q.o.Log.Error("queue scan failed", "cause", err.Error())
		}
		timer.Reset(q.cfg.RunDelay)
		select {
		case <-timer.C():
		case <-q.index.rescan:
		case <-ctx.Done():
			return
		}
	}
}

// scan reads the deferred directories. It keeps the queue.due_limit messages
// that are due first; names and times of the others are forgotten at once.
func (q *Queue) scan(ctx context.Context) error {
	horizon := q.o.Clock.Now().Add(q.cfg.RunDelay + scanMargin)
	first := dueFirst{limit: q.cfg.DueLimit}
	q.index.beginScan(horizon, q.maximalBackoff())
	err := q.disk.files.each(Deferred, func(id envelope.QueueID, e fs.DirEntry) error {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		// What is in memory already must not take the place of others.
		if at := q.believable(id, info.ModTime()); !at.After(horizon) && !q.index.has(id) {
			first.offer(id, at)
		}
		return ctx.Err()
	})
	q.index.endScan(first)
	return err
}

// believable is when a deferred message is due whose file says at. A time that no
// attempt can have set is of a clock that was ahead; the message would lie there
// until the clock is where it was. It waits as long as a message waits at most,
// from now on, so its file is told: the next scan must not begin anew.
func (q *Queue) believable(id envelope.QueueID, at time.Time) time.Time {
	now := q.o.Clock.Now()
	latest := now.Add(q.maximalBackoff())
	if q.maximalBackoff() == 0 || !at.After(latest.Add(time.Second)) {
		return at
	}
	q.o.Log.Warn("queue message was due too far ahead, the clock must have been wrong", "id", id, "was", at.UTC().Format(time.RFC3339), "now_due", latest.UTC().Format(time.RFC3339))
	if err := q.o.FS.Chtimes(q.disk.files.path(Deferred, id), latest, latest); err != nil {
		q.o.Log.Warn("queue message is tried now: its file takes no other time", "id", id, "cause", err)
		return now
	}
	return latest
}

// scanMargin is how much later than RunDelay the next scan may come without a
// message being late. It has to be more than a scan takes, and costs memory
// only within queue.due_limit.
const scanMargin = 5 * time.Second
