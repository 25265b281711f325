package queue

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/internal/service"
	"toastmaster/internal/spool"
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
	q.index.beginScan(horizon, q.o.MaximalBackoff)
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
	latest := now.Add(q.o.MaximalBackoff)
	if q.o.MaximalBackoff == 0 || !at.After(latest.Add(time.Second)) {
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

// tidyInterval is how often the journal's length is looked at, which costs
// nothing; queue.move_segments says what is too long.
const tidyInterval = time.Second

// tidyLoop removes what is finished and keeps the journal short.
func (q *Queue) tidyLoop(ctx context.Context) {
	timer := q.o.Clock.NewTimer(tidyInterval)
	defer timer.Stop()
	for {
		select {
		case <-q.disk.ledger.tidy:
			q.fencedTidy(ctx, q.removeDeparted)
		case <-timer.C():
			q.fencedTidy(ctx, q.shorten)
			timer.Reset(tidyInterval)
		case <-ctx.Done():
			return
		}
	}
}

// fencedTidy runs a round of tidying: its panic ends the round, not the
// process.
func (q *Queue) fencedTidy(ctx context.Context, f func(context.Context)) {
	_ = service.Fenced(q.o.Log, func() error {
		f(ctx)
		return nil
	}, "service", "queue")
}

// removeDeparted removes the files of messages that have left, as far as a
// checkpoint allows.
func (q *Queue) removeDeparted(ctx context.Context) {
	q.disk.ledger.removeDeparted(ctx, func(m *message) { _ = q.advance(ctx, m, evCleared) }) // which forgets it
}

// shorten moves the messages of the oldest segment to files when more than
// queue.move_segments are in use: segments are reused in order, so one slow
// message would keep all that came after it.
func (q *Queue) shorten(ctx context.Context) {
	for ctx.Err() == nil {
		u := q.disk.ledger.j.Usage()
		if u.Segments <= q.cfg.MoveSegments {
			return
		}
		list := q.inSegment(u.Oldest)
		for _, m := range list {
			// A store or a disk that takes nothing more takes nothing of the
			// others either; what else fails is the trouble of one message.
			if q.disk.settle(ctx, m) != nil || spool.IsFull(q.relocate(ctx, m)) || ctx.Err() != nil {
				return
			}
		}
		if len(list) == 0 || q.disk.ledger.j.Checkpoint(ctx) != nil || q.disk.ledger.j.Usage().Oldest == u.Oldest {
			return
		}
	}
}

// inSegment lists the messages whose record, or pin, is in a segment.
func (q *Queue) inSegment(seq uint64) []*message {
	all := q.index.all(func(m *message) bool { return m.at.stage == queued || m.at.stage == active || m.at.stage == waiting })
	kept := all[:0]
	for _, m := range all {
		m.mu.Lock()
		if m.pos.Segment == seq {
			kept = append(kept, m)
		}
		m.mu.Unlock()
	}
	return kept
}

// relocate writes a message to its file while it stays what it is: a waiting
// one becomes deferred and due now, an active one goes on. The failure of one
// that is tried again and again is logged once in queue.run_delay.
func (q *Queue) relocate(ctx context.Context, m *message) error {
	err := q.advance(ctx, m, evShorten)
	if errors.Is(err, ErrNoMessage) {
		return nil // it was damaged, and is set aside
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	if now := q.o.Clock.Now(); !now.Before(m.complain) {
		m.complain = now.Add(q.cfg.RunDelay)
		q.o.Log.Error("queue message not moved out of the journal", "id", m.id, "cause", err.Error())
	}
	return err
}
