package journal

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"toastmaster/internal/crc32c"
	"toastmaster/internal/vfs"
)

// Journal is an open log. Safe for concurrent use.
type Journal struct {
	o       Options
	lock    vfs.File
	waiting *semaphore.Weighted

	mu        sync.Mutex
	closed    bool
	pending   []*entry
	urgent    int   // entries in pending that somebody waits for
	lazyBytes int64 // of lazy entries not yet written
	segs      []*segment
	active    *segment // the last of segs, nil before the first
	spare     *segment // ready to become active
	spareErr  error    // why there is none
	stale     bool     // spare names an older tail than there is now
	recovered bool     // the owner has acted upon the replay
	free      []*segment
	left      []leftSegment // their trailers are not yet written
	slots     int           // files that exist
	nextSlot  int
	nextSeq   uint64
	earlyPins int    // pins from before the first segment
	earlySeq  uint64 // the segment they went to
	ck        checkpoints

	wake     chan struct{} // to the committer: something is pending
	prepared chan struct{} // to the committer: spare or spareErr changed
	need     chan struct{} // to the preparer: make a spare
	wantCk   chan struct{} // to the checkpointer
	stop     chan struct{} // closed by Close, for the committer
	hurry    chan struct{} // closed when Close may wait no longer
	cancel   context.CancelFunc
	ctx      context.Context // of checkpoints and of the preparer
	commits  sync.WaitGroup
	keepers  sync.WaitGroup
	closeErr error // of the committer's last writes

	commit committer
	stats  struct{ commits, records, bytes, failures atomic.Uint64 }
}

// entry is one append on its way to the disk.
type entry struct {
	parts [][]byte
	size  int // of the payload; 0 for a barrier
	crc   uint32
	lazy  bool
	pos   Position
	done  chan error // nil for lazy
}

func newEntry(parts [][]byte) *entry {
	e := &entry{parts: parts}
	for _, p := range parts {
		e.size += len(p)
		e.crc = crc32c.Update(e.crc, p)
	}
	return e
}

// MaxRecord is the largest payload that Append takes.
func (j *Journal) MaxRecord() int64 { return j.o.SegmentSize - 2*block - recordHeader - align }

// Append writes a record, made of parts one after the other, and returns when
// it is durable. The record is live, with one reference, until Unpin. The
// parts must not change until Append returns.
//
// A ctx that ends takes the record back as long as it is not being written;
// then Append waits for the write. An error means that nobody may count on the
// record, but it may still be found at recovery (the disk failed between write
// and sync).
func (j *Journal) Append(ctx context.Context, parts ...[]byte) (Position, error) {
	e := newEntry(parts)
	if e.size == 0 || int64(e.size) > j.MaxRecord() {
		return Position{}, ErrTooLarge
	}
	weight := min(int64(e.size), j.o.MaxWaiting)
	if err := j.waiting.Acquire(ctx, weight); err != nil {
		return Position{}, err
	}
	defer j.waiting.Release(weight)
	if err := j.await(ctx, e); err != nil {
		return Position{}, err
	}
	return e.pos, nil
}

// AppendLazy writes a record with the next commit, or after LazyInterval, and
// waits for nothing. parts are copied. The record is not live: it is kept as
// long as its segment, or an older one, has a live record. After a failed
// write it is written again.
func (j *Journal) AppendLazy(parts ...[]byte) error {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size == 0 || int64(size) > j.MaxRecord() {
		return ErrTooLarge
	}
	payload := make([]byte, 0, size)
	for _, p := range parts {
		payload = append(payload, p...)
	}
	e := newEntry([][]byte{payload})
	e.lazy = true
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed
	}
	if j.lazyBytes+int64(size) > j.o.MaxWaiting {
		return diskError(errors.New("journal: too many lazy records wait"))
	}
	j.lazyBytes += int64(size)
	j.pending = append(j.pending, e)
	if len(j.pending) == 1 {
		wakeUp(j.wake)
	}
	return nil
}

// Flush returns when everything appended before is durable.
func (j *Journal) Flush(ctx context.Context) error { return j.await(ctx, &entry{}) }

// await hands e to the committer and waits for it.
func (j *Journal) await(ctx context.Context, e *entry) error {
	e.done = make(chan error, 1)
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	j.pending = append(j.pending, e)
	j.urgent++
	j.mu.Unlock()
	wakeUp(j.wake)
	select {
	case err := <-e.done:
		return err
	case <-ctx.Done():
		if j.withdraw(e) {
			return ctx.Err()
		}
		return <-e.done
	}
}

// withdraw takes e back if the committer does not have it yet.
func (j *Journal) withdraw(e *entry) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, p := range j.pending {
		if p == e {
			j.pending = append(j.pending[:i], j.pending[i+1:]...)
			j.urgent--
			return true
		}
	}
	return false
}

// Pin keeps everything that is appended from now on, lazy records included,
// until Unpin of the position it returns.
func (j *Journal) Pin() Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.segs) == 0 {
		j.earlyPins++
		return Position{Segment: early}
	}
	// The last one: what is older goes first, what is newer later.
	last := j.segs[len(j.segs)-1]
	last.refs++
	return Position{Segment: last.seq}
}

// Unpin drops a reference. What was done about the record must be such that
// the next Checkpoint makes it durable. The zero Position is ignored.
func (j *Journal) Unpin(pos Position) {
	if pos == (Position{}) {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if pos.Segment == early {
		if j.earlySeq == 0 {
			j.earlyPins--
			return
		}
		pos.Segment = j.earlySeq
	}
	s := j.segment(pos.Segment)
	if s == nil || s.refs == 0 {
		j.o.Log.Error("journal: a position was unpinned that is not live", "dir", j.o.Dir, "segment", pos.Segment, "offset", pos.Offset)
		return
	}
	s.refs--
	j.ck.dirty = true
	if s.refs > 0 {
		return
	}
	s.idle = j.ck.begun
	if s == j.segs[0] && s.sealed && (j.spare == nil || len(j.segs) > j.o.MaxSegments/2) {
		wakeUp(j.wantCk)
	}
}

// Written is the position behind the last record that is written: each one
// appended before the call, and those of a replay, are before it.
func (j *Journal) Written() Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch n := len(j.segs); {
	case j.active != nil:
		return Position{Segment: j.active.seq, Offset: uint32(j.active.off)}
	case n > 0:
		return Position{Segment: j.segs[n-1].seq, Offset: math.MaxUint32}
	}
	return Position{}
}

// Touch asks for a checkpoint within CheckpointInterval, as an Unpin does.
func (j *Journal) Touch() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ck.dirty = true
}

// segment finds a segment in use; j.mu is held. Sequence numbers are nearly
// dense, so the place is guessed first.
func (j *Journal) segment(seq uint64) *segment {
	if len(j.segs) == 0 || seq < j.segs[0].seq {
		return nil
	}
	for i := min(int(seq-j.segs[0].seq), len(j.segs)-1); i >= 0; i-- {
		if j.segs[i].seq == seq {
			return j.segs[i]
		}
	}
	return nil
}

// Usage is the state of the log, for flow control and metrics.
type Usage struct {
	// Oldest is the oldest segment in use.
	Oldest uint64
	// Segments are in use, of at most Max; Files exist.
	Segments, Max, Files int
	// Commits, Records and Bytes were written since Open; Failures are writes
	// that failed.
	Commits, Records, Bytes, Failures uint64
}

// Usage reports it.
func (j *Journal) Usage() Usage {
	j.mu.Lock()
	defer j.mu.Unlock()
	u := Usage{
		Segments: len(j.segs), Max: j.o.MaxSegments, Files: j.slots,
		Commits: j.stats.commits.Load(), Records: j.stats.records.Load(),
		Bytes: j.stats.bytes.Load(), Failures: j.stats.failures.Load(),
	}
	if len(j.segs) > 0 {
		u.Oldest = j.segs[0].seq
	}
	return u
}

// Close writes what is pending, makes a last checkpoint, and ends. Appends
// that begin later get ErrClosed. ctx bounds the checkpoint and the wait for a
// segment that the last lazy records may need.
func (j *Journal) Close(ctx context.Context) error {
	ckErr := j.Checkpoint(ctx)
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	close(j.stop)
	patient := context.AfterFunc(ctx, func() { close(j.hurry) })
	j.commits.Wait()
	patient()
	j.cancel()
	j.keepers.Wait()
	j.mu.Lock()
	if s := j.active; s != nil && !s.sealed {
		j.leave(s)
	}
	j.mu.Unlock()
	j.finishLeft()
	return errors.Join(ckErr, j.closeErr, j.closeFiles())
}

func (j *Journal) closeFiles() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := append(append([]*segment{}, j.segs...), j.free...)
	if j.spare != nil {
		all = append(all, j.spare)
	}
	var errs []error
	for _, s := range all {
		errs = append(errs, s.file.Close())
	}
	j.segs, j.free, j.spare, j.active = nil, nil, nil, nil
	errs = append(errs, j.lock.Close())
	return errors.Join(errs...)
}

// early is the segment of a pin taken before there was one.
const early = math.MaxUint64

// wakeUp wakes whoever waits on a channel with a buffer of one.
func wakeUp(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
