package mailstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// checkpoints counts epochs. A change belongs to the epoch that is current
// when its last write is done; a sync that starts after the epoch ended makes
// it durable.
type checkpoints struct {
	epoch   atomic.Uint64
	durable atomic.Uint64
	// written is the latest epoch that has a change.
	written atomic.Uint64
	// began is when the last successful sync began, in nanoseconds.
	began atomic.Int64
	mu    sync.Mutex
	// failed is the error of a sync that failed, for good; broken is closed
	// then.
	failed error
	broken chan struct{}
}

// covers says that a file with this mtime was made durable by a sync.
func (c *checkpoints) covers(mtime time.Time) bool {
	return mtime.Add(tick).UnixNano() < c.began.Load()
}

// note returns the epoch of a change whose writes are done.
func (c *checkpoints) note() uint64 {
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
func (s *Store) Checkpoint(ctx context.Context) error {
	c := &s.points
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
	err := s.present()
	if !errors.Is(err, ErrAbsent) {
		err = s.syncAll()
	}
	if err != nil {
		c.failed = fmt.Errorf("%w: %w", ErrNotDurable, err)
		close(c.broken)
		return c.failed
	}
	c.durable.Store(ended)
	return nil
}

// syncAll syncs the file system, through the one descriptor that has been open
// since before the first write: of what the kernel fails to write in the
// background only such a one is told (syncfs(2)).
func (s *Store) syncAll() error {
	began := s.clock.Now()
	if err := s.rootFile.SyncFS(); err != nil {
		return storeError(err)
	}
	s.points.began.Store(began.UnixNano())
	return nil
}

func (c *checkpoints) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}
