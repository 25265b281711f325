package queue

import (
	"context"
	"errors"
	"time"

	"toastmaster/internal/service"
	"toastmaster/internal/spool"
)

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
		case <-q.disk.budget.short:
			q.fencedTidy(ctx, q.relieve)
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
			if q.disk.askedIn(m, u.Oldest) && q.disk.ledger.askDelete(ctx, m) != nil {
				return
			}
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

// askedIn says that the record of the deletion of m is in a segment.
func (d *disk) askedIn(m *message, seq uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked.Segment == seq
}

// inSegment lists the messages whose record, or pin, or deletion is in a segment.
func (q *Queue) inSegment(seq uint64) []*message {
	all := q.index.all(func(m *message) bool { return m.at.stage == queued || m.at.stage == active || m.at.stage == waiting })
	kept := all[:0]
	for _, m := range all {
		m.mu.Lock()
		if m.pos.Segment == seq || m.asked.Segment == seq {
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
