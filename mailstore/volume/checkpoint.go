package volume

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"toastmaster/internal/lockorder"
)

// Checkpoints counts epochs. A change belongs to the epoch that is current
// when its last write is done; a sync that starts after the epoch ended makes
// it durable.
type Checkpoints struct {
	epoch   atomic.Uint64
	durable atomic.Uint64
	// written is the latest epoch that has a change.
	written atomic.Uint64
	// began is when the last successful sync began, in nanoseconds.
	began atomic.Int64
	mu    lockorder.Mutex[SyncLock]
	// failed is the error of a sync that failed, for good; broken is closed
	// then.
	failed error
	broken chan struct{}
}

// Covers says that a file with this mtime was made durable by a sync.
func (c *Checkpoints) Covers(mtime time.Time) bool {
	return mtime.Add(Tick).UnixNano() < c.began.Load()
}

// Changed notes a change whose writes are done, and returns its epoch.
func (c *Checkpoints) Changed() uint64 {
	e := c.epoch.Load()
	for {
		w := c.written.Load()
		if w >= e || c.written.CompareAndSwap(w, e) {
			return e
		}
	}
}

// Checkpoint makes durable whatever was delivered before the call. Once it
// failed to sync it returns ErrNotDurable until the store is opened anew: the
// kernel has dropped what it could not write and calls it clean, so a second
// sync that succeeds would prove nothing. What was delivered since the last
// checkpoint is in the queue's journal and in ours, and the next Open and the
// queue's repeated deliveries write it again. The same holds when the store is
// not in its place any more.
func (s *Volume) Checkpoint(ctx context.Context) error {
	c := &s.Points
	want := c.written.Load()
	if c.durable.Load() >= want {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.durable.Load() >= want {
		return nil // the one before us was enough
	}
	if c.failed != nil {
		return c.failed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ended := c.epoch.Add(1) - 1
	// What was written by name went elsewhere if the store is not there now; a
	// marker that cannot be read for another reason says nothing.
	err := s.Present()
	if !errors.Is(err, ErrAbsent) {
		err = s.SyncAll()
	}
	if err != nil {
		c.failed = fmt.Errorf("%w: %w", ErrNotDurable, err)
		close(c.broken)
		return c.failed
	}
	c.durable.Store(ended)
	return nil
}

// SyncAll syncs the file system, through the one descriptor that has been open
// since before the first write: of what the kernel fails to write in the
// background only such a one is told (syncfs(2)).
func (s *Volume) SyncAll() error {
	began := s.Clock.Now()
	if err := s.root.SyncFS(); err != nil {
		return Err(err)
	}
	s.Points.began.Store(began.UnixNano())
	return nil
}

// Failure is the error of the sync that failed.
func (c *Checkpoints) Failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// Durable is the last epoch that a sync has made durable.
func (c *Checkpoints) Durable() uint64 { return c.durable.Load() }

// Broken is closed when a sync has failed, for good.
func (c *Checkpoints) Broken() <-chan struct{} { return c.broken }

// Tick is more than the coarsest step of a file system's clock that we allow
// for (ext4 and xfs use the kernel's tick, 1 to 10 ms). A directory whose
// mtime is younger than that may have changed again with the same mtime.
const Tick = 100 * time.Millisecond
