package journal

import (
	"errors"
	"time"
)

const (
	// maxBatch bounds one write, so that a waiter of the first record does
	// not wait for a disk full of others. No parameter: the owner bounds what
	// waits at all (Options.MaxWaiting), and a larger write is no faster.
	maxBatch = 8 << 20
	// small payloads are copied next to their headers: fewer, larger buffers.
	small = 1024
	// retryLazy is the pause before lazy records are tried again after a
	// failure. It only keeps a broken disk from a busy loop.
	retryLazy = time.Second
)

// committer is the state of the committing goroutine.
type committer struct {
	batch   []*entry
	scratch []byte
	iov     [][]byte
	zero    [align]byte
	err     error // why something of the present round failed
}

// commitLoop gathers what waits, writes it with one call, syncs once.
func (j *Journal) commitLoop() {
	defer j.commits.Done()
	timer := j.o.Clock.NewTimer(j.o.LazyInterval)
	timer.Stop()
	armed, due, stopping := false, false, false
	for {
		if j.take(due || stopping) {
			j.commit.err = nil
			j.write()
			timer.Stop()
			armed, due = false, false
			if stopping {
				if j.lazyWaits() {
					j.closeErr = j.commit.err
				}
				return
			}
			continue
		}
		if stopping {
			return
		}
		if !armed && j.lazyWaits() {
			timer.Reset(j.lazyPause())
			armed = true
		}
		select {
		case <-j.wake:
		case <-timer.C():
			armed, due = false, true
		case <-j.stop:
			stopping = true
		}
	}
}

func (j *Journal) lazyPause() time.Duration {
	if j.commit.err != nil {
		return retryLazy
	}
	return j.o.LazyInterval
}

func (j *Journal) lazyWaits() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.pending) > 0
}

// take moves what is pending to the batch if somebody waits for it, or if lazy
// records alone are enough.
func (j *Journal) take(lazy bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.urgent == 0 && (!lazy || len(j.pending) == 0) {
		return false
	}
	j.commit.batch, j.pending = j.pending, j.commit.batch[:0]
	j.urgent = 0
	return true
}

// write brings the whole batch to disk, in as many writes as it needs.
func (j *Journal) write() {
	rest := j.commit.batch
	for len(rest) > 0 {
		n := j.fits(rest)
		if n == 0 {
			if err := j.rotate(); err != nil {
				j.refuse(rest, err)
				break
			}
			continue
		}
		j.writeBatch(rest[:n])
		rest = rest[n:]
	}
	clear(j.commit.batch)
}

// reserve is the part of the last segment that is kept for lazy records when
// no further segment is ready: marks that mail is done must find room even
// when new mail does not.
func (s *segment) reserve() int64 { return min(s.size/16, 256<<10) }

// fits counts the leading entries that go into the active segment with one
// write. Barriers always fit.
func (j *Journal) fits(rest []*entry) int {
	j.mu.Lock()
	s, reserve := j.active, int64(0)
	if s != nil && j.spare == nil && s.off > block {
		reserve = s.reserve()
	}
	j.mu.Unlock()
	off, total := int64(0), int64(0)
	if s != nil {
		off = s.off
	}
	for i, e := range rest {
		if e.size == 0 {
			continue
		}
		if s == nil {
			return i
		}
		n, end := padded(e.size), s.end()
		if !e.lazy {
			end -= reserve
		}
		if off+n > end || (i > 0 && total+n > maxBatch) {
			return i
		}
		off, total = off+n, total+n
	}
	return len(rest)
}

// writeBatch writes entries that fit and tells those who wait.
func (j *Journal) writeBatch(batch []*entry) {
	s := j.active
	end, err := j.writeOut(s, batch)
	if err != nil {
		j.stats.failures.Add(1)
		j.o.Log.Error("journal write failed", "segment", s.name, "records", len(batch), "cause", err.Error())
		j.seal(s)
		j.refuse(batch, diskError(err))
		return
	}
	j.publish(s, batch, end)
}

// writeOut is one vectored write and one sync. Nothing is written for barriers
// alone: all before them is durable already.
func (j *Journal) writeOut(s *segment, batch []*entry) (int64, error) {
	end := j.layOut(s, batch)
	if len(j.commit.iov) == 0 {
		return end, nil
	}
	off := end
	for _, b := range j.commit.iov {
		off -= int64(len(b))
	}
	_, err := s.file.WriteV(j.commit.iov, off)
	clear(j.commit.iov)
	if err != nil {
		return end, err
	}
	// A failed sync is final: the kernel may have dropped the dirty pages, so
	// a second one that succeeds proves nothing. The caller leaves the
	// segment.
	return end, s.file.Datasync()
}

// layOut gives each record its position and builds the buffers of the write.
func (j *Journal) layOut(s *segment, batch []*entry) (end int64) {
	c := &j.commit
	need := 0
	for _, e := range batch {
		need += recordHeader + align
		if e.size <= small {
			need += e.size
		}
	}
	if cap(c.scratch) < need {
		c.scratch = make([]byte, 0, need*3/2)
	}
	c.scratch, c.iov = c.scratch[:0], c.iov[:0]
	if s == nil {
		return 0
	}
	start, first := 0, s.off // start of the scratch not yet in iov
	off := first
	flush := func() {
		if len(c.scratch) > start {
			c.iov = append(c.iov, c.scratch[start:len(c.scratch)])
			start = len(c.scratch)
		}
	}
	for _, e := range batch {
		if e.size == 0 {
			continue
		}
		e.pos = Position{Segment: s.seq, Offset: uint32(off), Length: uint32(e.size)}
		at := len(c.scratch)
		c.scratch = c.scratch[:at+recordHeader]
		header{e.crc, uint32(e.size), uint32(first)}.put(c.scratch[at:], s.seed, off)
		for _, p := range e.parts {
			if e.size <= small {
				c.scratch = append(c.scratch, p...)
			} else if len(p) > 0 {
				flush()
				c.iov = append(c.iov, p)
			}
		}
		next := off + padded(e.size)
		c.scratch = append(c.scratch, c.zero[:next-off-recordHeader-int64(e.size)]...)
		off = next
	}
	flush()
	return off
}

// publish makes the records of a successful write live and wakes who waits.
func (j *Journal) publish(s *segment, batch []*entry, end int64) {
	written, lazyBytes, records := int64(0), int64(0), 0
	j.mu.Lock()
	for _, e := range batch {
		if e.size == 0 {
			continue
		}
		records++
		if e.lazy {
			lazyBytes += int64(e.size)
		} else {
			s.refs++
		}
	}
	if records > 0 {
		written = end - s.off
		s.off = end
	}
	j.lazyBytes -= lazyBytes
	j.mu.Unlock()
	if records > 0 {
		j.stats.commits.Add(1)
		j.stats.records.Add(uint64(records))
		j.stats.bytes.Add(uint64(written))
	}
	for _, e := range batch {
		switch {
		case e.lazy:
		case e.size == 0:
			// A barrier: lazy records before it may have failed.
			e.done <- j.commit.err
		default:
			e.done <- nil
		}
	}
}

// refuse fails those who wait; lazy records are tried again, in the active
// segment at once if they fit into its reserve, else with the next commit.
func (j *Journal) refuse(batch []*entry, err error) {
	j.commit.err = err
	var lazy []*entry
	for _, e := range batch {
		if e.lazy {
			lazy = append(lazy, e)
		} else {
			e.done <- err
		}
	}
	if n := j.fits(lazy); n > 0 && !j.activeSealed() {
		if end, err := j.writeOut(j.active, lazy[:n]); err == nil {
			j.publish(j.active, lazy[:n], end)
			lazy = lazy[n:]
		} else {
			j.seal(j.active)
		}
	}
	if len(lazy) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending = append(lazy, j.pending...)
}

// leave ends a segment's use for writing where it was synced last; j.mu is held.
func (j *Journal) leave(s *segment) {
	s.sealed = true
	j.left = append(j.left, leftSegment{s, s.seq, s.off})
}

func (j *Journal) activeSealed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.active == nil || j.active.sealed
}

// seal ends a segment's use for writing.
func (j *Journal) seal(s *segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.leave(s)
	s.off = s.end()
	if s.refs == 0 {
		s.idle = j.ck.begun
	}
}

// rotate goes on in the next segment. It waits for one up to FullWait, during
// Close as long as Close may: the last marks need a place.
func (j *Journal) rotate() error {
	j.mu.Lock()
	j.spareErr = nil // of an earlier need; what failed then may work now
	j.mu.Unlock()
	var timeout <-chan time.Time
	for {
		ok, err := j.useSpare()
		if ok || err != nil {
			return err
		}
		if timeout == nil && !stopped(j.stop) {
			timer := j.o.Clock.NewTimer(j.o.FullWait)
			defer timer.Stop()
			timeout = timer.C()
		}
		select {
		case <-j.prepared:
			continue
		case <-timeout:
		case <-j.hurry:
		}
		return diskError(j.whyNone())
	}
}

// whyNone tells a log in which every segment is in use from a disk that was too
// slow.
func (j *Journal) whyNone() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.free) == 0 && j.slots >= j.o.MaxSegments {
		return ErrFull
	}
	return errors.New("journal: the next segment was not ready in time")
}

// useSpare makes the spare segment the active one, and orders another.
func (j *Journal) useSpare() (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.spare == nil {
		err := j.spareErr
		j.spareErr = nil
		if err != nil {
			// The next append asks again.
			return false, diskError(err)
		}
		wakeUp(j.need)
		return false, nil
	}
	if old := j.active; old != nil && !old.sealed {
		j.leave(old)
		if old.refs == 0 {
			old.idle = j.ck.begun
		}
	}
	j.active, j.spare = j.spare, nil
	j.segs = append(j.segs, j.active)
	if j.earlySeq == 0 {
		j.earlySeq, j.active.refs = j.active.seq, j.earlyPins
	}
	wakeUp(j.need)
	return true, nil
}

func stopped(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
