package queue

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"toastmaster/internal/envelope"
)

// FlushIDs makes those of ids that are deferred due now, as Flush does, and returns how
// many they are. What is on hold, active, or not there is left alone. No folder is read.
func (q *Queue) FlushIDs(ctx context.Context, ids []envelope.QueueID) (int, error) {
	now, n := q.o.Clock.Now(), 0
	defer func() {
		if n > 0 {
			wakeUp(q.index.wake)
			wakeUp(q.index.rescan)
		}
	}()
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return n, diskError(err)
		}
		if !validID(id) {
			continue
		}
		flushed, err := q.flushOne(id, now)
		if err != nil {
			return n, diskError(err)
		}
		if flushed {
			n++
		}
	}
	return n, nil
}

// flushOne makes a message due now that is deferred.
func (q *Queue) flushOne(id envelope.QueueID, now time.Time) (bool, error) {
	if m, at, _ := q.index.look(id); m != nil && at.stage != resting && at.stage != looking {
		return q.index.flushWaiting(m, now), nil
	}
	if err := q.o.FS.Chtimes(q.disk.files.path(Deferred, id), now, now); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	q.index.flushResting(id, now)
	return true, nil
}

// Waits says that a message is deferred, or in memory, from where it may become deferred.
func (q *Queue) Waits(id envelope.QueueID) (bool, error) {
	if !validID(id) {
		return false, nil
	}
	if m, at, _ := q.index.look(id); m != nil && at.stage != leaving && at.stage != looking {
		return true, nil
	}
	place, _, err := q.disk.files.where(id)
	return place == Deferred, diskError(err)
}

// Has says whether the queue has a message, wherever it is. It reads no message.
func (q *Queue) Has(id envelope.QueueID) (bool, error) {
	if !validID(id) {
		return false, nil
	}
	if m, at, _ := q.index.look(id); m != nil && at.stage != looking {
		return true, nil
	}
	place, _, err := q.disk.files.where(id)
	return place != "", diskError(err)
}

// Flush makes every deferred message that f selects due now and returns how
// many there are. They are tried also when their destination was found dead
// (Item.Flushed); without a sender and a recipient in f that goes for every
// message that becomes active from now on. With one of them, or an ID, it goes for as many
// as the list of due messages holds (queue.due_limit); the rest come as usual.
func (q *Queue) Flush(ctx context.Context, f Filter) (int, error) {
	if f.Place != "" && f.Place != Deferred {
		return 0, nil
	}
	if f.ID != "" && f.Sender == "" && f.Recipient == "" {
		return q.FlushIDs(ctx, []envelope.QueueID{f.ID})
	}
	now := q.o.Clock.Now()
	if f.Sender == "" && f.Recipient == "" {
		q.index.flushAll(now)
	}
	n := q.flushWaiting(f, now)
	err := q.disk.files.each(Deferred, func(id envelope.QueueID, _ fs.DirEntry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.ID != "" && f.ID != id {
			return nil
		}
		if f.Sender != "" || f.Recipient != "" {
			file, m, err := q.disk.files.read(Deferred, id)
			if err != nil {
				return nil // gone, or the scan's to complain about
			}
			_ = file.Close()
			if !f.matches(q.fileInfo(Deferred, m)) {
				return nil
			}
		}
		if err := q.o.FS.Chtimes(q.disk.files.path(Deferred, id), now, now); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		n++
		q.index.flushResting(id, now)
		return nil
	})
	wakeUp(q.index.wake)
	wakeUp(q.index.rescan)
	return n, diskError(err)
}

// flushWaiting is Flush for deferred messages that have no file.
func (q *Queue) flushWaiting(f Filter, now time.Time) int {
	n := 0
	for _, m := range q.index.all(func(m *message) bool { return m.at.stage == waiting }) {
		if info, err := q.messageInfo(m); err == nil && f.matches(info) && q.index.flushWaiting(m, now) {
			n++
		}
	}
	return n
}
