package mailstore

import (
	"context"
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

// Checkpoint makes durable whatever was delivered before the call.
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
	if err := ctx.Err(); err != nil {
		return err
	}
	ended := c.epoch.Add(1) - 1
	if err := s.syncAll(); err != nil {
		return err
	}
	c.durable.Store(ended)
	return nil
}

// syncAll syncs the file system.
func (s *Store) syncAll() error {
	began := s.clock.Now()
	if err := s.fs.SyncFS(s.root); err != nil {
		return storeError(err)
	}
	s.points.began.Store(began.UnixNano())
	return nil
}
