package queue

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
)

// errBusy is the answer when another call or the queue itself is moving the
// message just now.
var errBusy = dsn.New(dsn.MailSystem, "The message is being moved, please try again")

// claim keeps a message that is not active from being handed out, until
// unclaim or until it has left. For an active one, onActive is called under
// the queue's lock instead and claim returns nil.
func (q *Queue) claim(id envelope.QueueID, onActive func(m *message)) (*message, error) {
	if !validID(id) {
		return nil, ErrNoMessage
	}
	q.mu.Lock()
	m := q.known[id]
	switch {
	case m == nil:
		m = &message{id: id, stage: stageBusy, was: stageFinished}
		q.known[id] = m
		q.due.drop(id)
		q.mu.Unlock()
		return q.claimFile(m)
	case m.stage == stageActive:
		onActive(m)
		m = nil
	case m.stage == stageFinished:
		q.mu.Unlock()
		return nil, ErrNoMessage
	case m.stage == stageBusy:
		q.mu.Unlock()
		return nil, errBusy
	default:
		m.was, m.stage = m.stage, stageBusy
	}
	q.mu.Unlock()
	return m, nil
}

// claimFile finds the file of a message that is not in memory.
func (q *Queue) claimFile(m *message) (*message, error) {
	place, err := q.places.where(m.id)
	if err == nil && place == "" {
		err = ErrNoMessage
	}
	if err != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.known, m.id)
		return nil, err
	}
	m.setPlace(place)
	return m, nil
}

// unclaim makes a claimed message what it was before.
func (q *Queue) unclaim(m *message) {
	m.park()
	q.mu.Lock()
	defer q.mu.Unlock()
	m.stage = m.was
	switch m.was {
	case stageIncoming:
		q.incoming.push(m)
	case stageWaiting:
		q.due.add(m.id, m.next, true)
	default:
		delete(q.known, m.id)
		if m.place == Deferred {
			if info, err := q.o.FS.Stat(q.places.path(Deferred, m.id)); err == nil {
				q.due.add(m.id, q.believable(m.id, info.ModTime()), false)
				q.due.flush(m.id, m.flushed)
			}
		}
	}
	signal(q.wake)
}

// Hold takes a message out of delivery until Release. An active one is held
// when its present attempt ends. ErrUnchanged when it is on hold.
func (q *Queue) Hold(ctx context.Context, id envelope.QueueID) error {
	unchanged := false
	m, err := q.claim(id, func(m *message) { unchanged, m.hold, m.requeue = m.hold, true, false })
	if unchanged {
		return ErrUnchanged
	}
	if m == nil || err != nil {
		return err
	}
	if m.was != stageFinished {
		return q.deferMessage(ctx, m, Hold, q.o.Clock.Now())
	}
	defer q.unclaim(m)
	if m.place == Hold {
		return ErrUnchanged
	}
	if err := q.places.move(Deferred, Hold, id); err != nil {
		return diskError(err)
	}
	m.setPlace(Hold)
	return nil
}

// askNow notes that a try of a claimed message is asked for, now.
func (q *Queue) askNow(m *message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m.flushed = q.o.Clock.Now()
	m.next = m.flushed // of one without a file
}

// Release ends a hold; the message is due at once, also when its destination
// was found dead (Item.Flushed). ErrUnchanged when it is not on hold.
func (q *Queue) Release(_ context.Context, id envelope.QueueID) error {
	unchanged := false
	m, err := q.claim(id, func(m *message) { unchanged, m.hold = !m.hold, false })
	if unchanged {
		return ErrUnchanged
	}
	if m == nil || err != nil {
		return err
	}
	defer q.unclaim(m)
	if m.was != stageFinished || m.place != Hold {
		return ErrUnchanged
	}
	q.askNow(m)
	return q.releaseHeld(m)
}

// releaseHeld moves a claimed message from hold to deferred, due now.
func (q *Queue) releaseHeld(m *message) error {
	now := q.o.Clock.Now()
	if err := q.o.FS.Chtimes(q.places.path(Hold, m.id), now, now); err != nil {
		return diskError(err)
	}
	if err := q.places.move(Hold, Deferred, m.id); err != nil {
		return diskError(err)
	}
	m.setPlace(Deferred)
	return nil
}

// Requeue makes a message due at once, also when its destination was found
// dead (Item.Flushed), and forgets what was resolved: attempts and reasons. A
// held one is released.
func (q *Queue) Requeue(_ context.Context, id envelope.QueueID) error {
	m, err := q.claim(id, func(m *message) {
		m.requeue, m.hold, m.flushed = true, false, q.o.Clock.Now()
	})
	if m == nil || err != nil {
		return err
	}
	q.askNow(m)
	defer q.unclaim(m)
	if m.was != stageFinished {
		return nil
	}
	f, mf, err := q.places.read(m.place, id)
	if err != nil {
		return diskError(err)
	}
	if err := f.Close(); err != nil {
		return diskError(err)
	}
	s := mf.state
	s.attempts, s.warned = 0, false
	for i := range s.rcpts {
		s.rcpts[i].last = nil
	}
	if err := q.places.update(m.place, id, s, q.o.Clock.Now()); err != nil {
		return diskError(err)
	}
	if m.place == Hold {
		return q.releaseHeld(m)
	}
	return nil
}

// Delete removes a message without a report. An active one is removed when its
// present attempt ends. After an error of the disk one that is in the journal is
// not delivered: its removal is tried again every queue.run_delay.
func (q *Queue) Delete(ctx context.Context, id envelope.QueueID) error {
	m, err := q.claim(id, func(m *message) { m.remove = true })
	if errors.Is(err, ErrNoMessage) {
		return q.deleteCorrupt(id)
	}
	if m == nil || err != nil {
		return err
	}
	if m.was != stageFinished {
		return q.removeActive(ctx, m)
	}
	err = q.removeFile(ctx, m.place, id)
	m.setPlace("")
	q.unclaim(m)
	if err != nil {
		return diskError(err)
	}
	q.o.Log.Event(msglog.Removed{ID: id, Reason: "deleted"})
	return nil
}

// deleteCorrupt removes what corrupt/ has under an ID.
func (q *Queue) deleteCorrupt(id envelope.QueueID) error {
	dir := filepath.Join(q.o.Dir, dirCorrupt)
	entries, err := q.o.FS.ReadDir(dir)
	if err != nil {
		return diskError(err)
	}
	found := false
	for _, e := range entries {
		if corruptID(e.Name()) != id {
			continue
		}
		found = true
		if err := q.o.FS.Remove(filepath.Join(dir, e.Name())); err != nil {
			return diskError(err)
		}
	}
	if !found {
		return ErrNoMessage
	}
	return diskError(q.o.FS.SyncDir(dir))
}

// Flush makes every deferred message that f selects due now and returns how
// many there are. They are tried also when their destination was found dead
// (Item.Flushed); without a sender and a recipient in f that goes for every
// message that becomes active from now on. With one of them it goes for as many
// as the list of due messages holds (queue.due_limit); the rest come as usual.
func (q *Queue) Flush(ctx context.Context, f Filter) (int, error) {
	if f.Place != "" && f.Place != Deferred {
		return 0, nil
	}
	now := q.o.Clock.Now()
	if f.Sender == "" && f.Recipient == "" {
		q.mu.Lock()
		q.flushed = now
		q.mu.Unlock()
	}
	n := q.flushWaiting(f, now)
	err := q.places.each(Deferred, func(id envelope.QueueID, _ fs.DirEntry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.Sender != "" || f.Recipient != "" {
			file, m, err := q.places.read(Deferred, id)
			if err != nil {
				return nil // gone, or the scan's to complain about
			}
			_ = file.Close()
			if !f.matches(q.fileInfo(Deferred, m)) {
				return nil
			}
		}
		if err := q.o.FS.Chtimes(q.places.path(Deferred, id), now, now); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		n++
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.known[id] == nil {
			q.due.add(id, now, false)
			q.due.flush(id, now)
		}
		return nil
	})
	signal(q.wake)
	signal(q.rescan)
	return n, diskError(err)
}

// flushWaiting is Flush for deferred messages that have no file.
func (q *Queue) flushWaiting(f Filter, now time.Time) int {
	n := 0
	for _, m := range q.waiting() {
		info, err := q.messageInfo(m)
		if err != nil || !f.matches(info) {
			continue
		}
		q.mu.Lock()
		if m.stage == stageWaiting {
			m.next, m.flushed = now, now
			q.due.add(m.id, now, true)
			n++
		}
		q.mu.Unlock()
	}
	return n
}

func (q *Queue) waiting() []*message {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []*message
	for _, m := range q.known {
		if m.stage == stageWaiting {
			out = append(out, m)
		}
	}
	return out
}
