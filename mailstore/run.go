package mailstore

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Run does the background work until ctx is cancelled: checkpoints while mail
// arrives, changes by other programs in open mailboxes, dovecot-uidlist. It
// returns ErrNotDurable when a checkpoint failed: nothing more can be made
// durable by this process, and whoever starts the next one has the deliveries
// since the last checkpoint written again.
func (s *Store) Run(ctx context.Context) error {
	every := min(s.cfg.CheckpointInterval, s.cfg.SyncInterval)
	timer := s.clock.NewTimer(every)
	defer timer.Stop()
	var checked, looked time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.points.broken:
			return s.points.failure()
		case <-timer.C():
		}
		now := s.clock.Now()
		// A clock that went back must not stop the work.
		if age := now.Sub(checked); age >= s.cfg.CheckpointInterval || age < 0 {
			checked = now
			s.background(ctx)
		}
		if age := now.Sub(looked); age >= s.cfg.SyncInterval || age < 0 {
			looked = now
			s.look(ctx)
		}
		timer.Reset(every)
	}
}

// background makes everything durable and writes what is written lazily.
func (s *Store) background(ctx context.Context) {
	if err := s.Checkpoint(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("checkpoint of the mail store", "cause", err)
	}
	s.kept.dropUnused(s.clock.Now().Add(-unpackedFor))
	s.makeRoom()
	s.fillSpare(false)
	durable := s.points.durable.Load()
	for _, mb := range s.lazyOnes() {
		if ctx.Err() != nil {
			return
		}
		if err := mb.tidy(ctx, durable); err != nil && ctx.Err() == nil {
			s.log.Warn("background work of a mailbox", "path", mb.path, "cause", err)
		}
		s.release(mb)
	}
	s.mu.Lock()
	accounts := make([]*account, 0, len(s.accounts))
	for _, a := range s.accounts {
		a.refs++
		accounts = append(accounts, a)
	}
	s.mu.Unlock()
	for _, a := range accounts {
		a.flushUsage()
		a.expireReservations()
		s.releaseAccount(a)
	}
}

// look checks the mailboxes that sessions have open.
func (s *Store) look(ctx context.Context) {
	for _, mb := range s.inUse() {
		if err := mb.refresh(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("checking a mailbox for changes", "path", mb.path, "cause", err)
		}
		s.release(mb)
	}
}

// inUse takes a use of every mailbox that is in use.
func (s *Store) inUse() []*mailbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	var boxes []*mailbox
	for _, mb := range s.boxes {
		if mb.refs > 0 && !s.closed {
			mb.refs++
			boxes = append(boxes, mb)
		}
	}
	return boxes
}

// lazyOnes takes a use of every mailbox with lazy work.
func (s *Store) lazyOnes() []*mailbox {
	s.lazyMu.Lock()
	boxes := slices.Collect(maps.Keys(s.lazy))
	s.lazyMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(boxes, func(mb *mailbox) bool {
		if s.boxes[mb.path] != mb || s.closed {
			return true // being shut
		}
		mb.refs++
		s.unidle(mb)
		return false
	})
}

func (s *Store) forgetLazy(mb *mailbox) {
	s.lazyMu.Lock()
	delete(s.lazy, mb)
	s.lazyMu.Unlock()
	mb.isLazy = false
}

// tidy does what may lag behind.
func (mb *mailbox) tidy(ctx context.Context, durable uint64) error {
	if err := mb.unlinked(ctx, durable); err != nil {
		return err
	}
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if !mb.loaded || mb.dead {
		return nil
	}
	if mb.uids.written != mb.version && mb.now().Sub(mb.uids.at) >= mb.store().cfg.UIDListDelay {
		if err := mb.writeUIDList(); err != nil {
			return err
		}
	}
	if err := mb.compact(ctx); err != nil {
		return err
	}
	if mb.uids.written == mb.version && !mb.hasUnlinked(^uint64(0)) {
		mb.store().forgetLazy(mb)
	}
	return nil
}

// compact replaces a long log by a snapshot.
func (mb *mailbox) compact(ctx context.Context) error {
	limit := max(mb.store().cfg.LogLimit, int64(len(mb.st.Messages))*snapshotCost/2)
	if mb.log.Size() < limit {
		return nil
	}
	return mb.flocked(ctx, func() error {
		mb.st.ForgetExpunged(mb.now().Add(-mb.store().cfg.ExpungeMemory).Unix(), mb.store().cfg.ExpungeEntries)
		return mb.log.Reset(mb.st)
	})
}

// snapshotCost is about what a message takes in a snapshot.
const snapshotCost = 90
