package journal

import (
	"context"
	"errors"
	"slices"
	"time"

	"toastmaster/internal/spool"
)

// checkpoints is the state of the checkpointing goroutine; under Journal.mu.
type checkpoints struct {
	begun uint64 // number of the last that began
	done  uint64 // number of the last that succeeded
	dirty bool   // something was unpinned since the last began
	// waiters are told how the next that begins ends.
	waiters []chan error
}

// Checkpoint calls Options.Checkpoint and returns when a call that began after
// this one has ended.
func (j *Journal) Checkpoint(ctx context.Context) error {
	done := make(chan error, 1)
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	j.ck.waiters = append(j.ck.waiters, done)
	j.mu.Unlock()
	wakeUp(j.wantCk)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-j.ctx.Done():
		return ErrClosed
	}
}

// checkpointLoop makes a checkpoint when one is wanted, and at an interval when
// records were unpinned since the last.
func (j *Journal) checkpointLoop() {
	defer j.keepers.Done()
	timer := j.o.Clock.NewTimer(j.o.CheckpointInterval)
	defer timer.Stop()
	for {
		wanted := false
		select {
		case <-j.wantCk:
			wanted = true
		case <-timer.C():
		case <-j.ctx.Done():
			return
		}
		if waiters, ok := j.beginCheckpoint(wanted); ok {
			j.endCheckpoint(waiters, j.runCheckpoint())
		}
		timer.Reset(j.o.CheckpointInterval)
	}
}

func (j *Journal) beginCheckpoint(wanted bool) ([]chan error, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !wanted && !j.ck.dirty {
		return nil, false
	}
	waiters := j.ck.waiters
	j.ck.waiters, j.ck.dirty = nil, false
	j.ck.begun++
	return waiters, true
}

func (j *Journal) runCheckpoint() error {
	if j.o.Checkpoint == nil {
		return nil
	}
	return j.o.Checkpoint(j.ctx)
}

func (j *Journal) endCheckpoint(waiters []chan error, err error) {
	j.mu.Lock()
	if err == nil {
		j.ck.done = j.ck.begun
		j.recycle()
	} else {
		j.ck.dirty = true
	}
	j.mu.Unlock()
	if err != nil && j.ctx.Err() == nil {
		j.o.Log.Error("journal checkpoint failed", "dir", j.o.Dir, "cause", err.Error())
	}
	for _, w := range waiters {
		w <- err
	}
}

// Recovered says that the owner has done what the replayed records ask for, so
// far as it keeps none of them live. Until then no segment is used again: one
// without a live record may hold marks that the owner has not acted upon.
func (j *Journal) Recovered() {
	j.mu.Lock()
	j.recovered = true
	j.ck.dirty = true
	j.mu.Unlock()
	// With all segments in use nobody else may ask for it.
	wakeUp(j.need)
}

// recycle frees segments from the oldest on, in order: a mark about a record is
// never older than the record, so no record outlives its marks. j.mu is held.
func (j *Journal) recycle() {
	if !j.recovered {
		return
	}
	freed := false
	for len(j.segs) > 0 {
		s := j.segs[0]
		if s == j.active || !s.sealed || s.refs > 0 || s.idle >= j.ck.done {
			break
		}
		j.segs = append(j.segs[:0], j.segs[1:]...)
		j.free = append(j.free, s)
		freed = true
	}
	if freed {
		j.stale = true
		wakeUp(j.need)
	}
}

// failurePause is the least time between two attempts to make a segment that
// fail. It only keeps a full disk from a busy loop; whoever waits for room is
// bound by FullWait.
const failurePause = 250 * time.Millisecond

// prepareLoop keeps one segment ready, so that the committer need not wait for
// it to be filled with zeros.
func (j *Journal) prepareLoop() {
	defer j.keepers.Done()
	var failedAt time.Time
	var failure error
	for {
		select {
		case <-j.need:
		case <-j.ctx.Done():
			return
		}
		if failure != nil {
			if d := j.o.Clock.Now().Sub(failedAt); d >= 0 && d < failurePause && !j.hasFree() {
				j.offer(nil, failure)
				continue
			}
		}
		j.finishLeft()
		s, ready := j.takeStale()
		if ready {
			continue
		}
		var err error
		if s != nil {
			s, err = j.renew(s)
		} else {
			s, err = j.prepare()
		}
		if failure = err; err != nil {
			failedAt = j.o.Clock.Now()
			j.o.Log.Error("journal cannot make a segment", "dir", j.o.Dir, "cause", err.Error())
		}
		if s != nil || err != nil {
			j.offer(s, err)
		}
	}
}

// leftSegment is a segment that gets no more records, during one use of it.
type leftSegment struct {
	*segment
	seq    uint64
	proven int64
}

// finishLeft writes the trailers of segments that were left and are still what
// they were. One without it is only less well known at the next Open.
func (j *Journal) finishLeft() {
	j.mu.Lock()
	left := slices.DeleteFunc(j.left, func(l leftSegment) bool { return j.segment(l.seq) != l.segment })
	j.left = nil
	j.mu.Unlock()
	for _, l := range left {
		if err := l.finish(l.proven); err != nil {
			j.o.Log.Warn("journal segment left without its end", "segment", l.name, "cause", err.Error())
		}
	}
}

// takeStale takes the spare segment back when segments became free since it
// was made ready: only a header with the new tail frees them for the next Open.
// Without that, a process that lives too short a time to fill a segment would
// add its own to those of all before it. ready: there is one, and it is right.
func (j *Journal) takeStale() (s *segment, ready bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.spare == nil || !j.stale {
		return nil, j.spare != nil
	}
	s, j.spare = j.spare, nil
	return s, false
}

func (j *Journal) hasFree() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.free) > 0 && !j.free[0].spoiled
}

func (j *Journal) offer(s *segment, err error) {
	j.mu.Lock()
	j.spare, j.spareErr = s, err
	j.mu.Unlock()
	wakeUp(j.prepared)
}

// prepare makes a segment ready: a free one or, below MaxSegments, a new one.
// It returns neither segment nor error when there may soon be a free one.
func (j *Journal) prepare() (*segment, error) {
	s, mayCreate, idle := j.chooseSlot()
	for s != nil && !s.usable(j.o.SegmentSize) {
		// From before the parameter was changed, or cut.
		if err := j.discard(s); err != nil {
			return nil, err
		}
		s, mayCreate, idle = j.chooseSlot()
	}
	if s == nil && mayCreate {
		var err error
		s, err = j.create()
		// On a full disk a checkpoint may still free a segment.
		if err != nil && !(idle && spool.IsFull(err)) {
			return nil, err
		}
	}
	if s == nil {
		// A checkpoint may free one; with nothing idle yet, the Unpin that
		// makes the oldest idle asks for it.
		if idle {
			wakeUp(j.wantCk)
		}
		return nil, nil
	}
	return j.renew(s)
}

// renew begins a new use of a segment that has no records.
func (j *Journal) renew(s *segment) (*segment, error) {
	seq, tail := j.numbers()
	if err := s.begin(seq, tail); err != nil {
		// The file may have the new header, the old one or none. Its number
		// is not used again, and the file not either.
		return nil, errors.Join(err, j.discard(s))
	}
	return s, nil
}

// chooseSlot takes the free segment that was freed first: the order matters if
// power fails before the new header is durable (see recycle).
func (j *Journal) chooseSlot() (s *segment, mayCreate, idle bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.free) > 0 {
		s = j.free[0]
		j.free = append(j.free[:0], j.free[1:]...)
		return s, false, false
	}
	idle = len(j.segs) > 0 && j.segs[0].sealed && j.segs[0].refs == 0
	return nil, j.slots < j.o.MaxSegments, idle
}

func (j *Journal) create() (*segment, error) {
	j.mu.Lock()
	slot := j.nextSlot
	j.nextSlot++
	j.mu.Unlock()
	s, err := create(j.o.FS, j.o.Dir, slot, j.o.SegmentSize)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.slots++
	return s, nil
}

// numbers are the next segment's own and that of the oldest in use.
func (j *Journal) numbers() (seq, tail uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	seq = j.nextSeq
	j.nextSeq++
	j.stale = false
	if len(j.segs) == 0 {
		return seq, seq
	}
	return seq, j.segs[0].seq
}

// discard removes a segment for good. Until that is durable it stays the first of the
// free ones: its old records could come back, and would then have to find the marks
// about them, which lie in those behind it.
func (j *Journal) discard(s *segment) error {
	s.spoiled = true
	err := removeIfThere(j.o.FS, s.name)
	if err == nil {
		err = j.o.FS.SyncDir(j.o.Dir)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.free = append([]*segment{s}, j.free...)
		return err
	}
	j.slots--
	return s.file.Close()
}
