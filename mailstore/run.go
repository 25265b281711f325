package mailstore

import (
	"context"
	"time"
)

// Run does the background work until ctx is cancelled: checkpoints while mail
// arrives, changes by other programs in open mailboxes, dovecot-uidlist. It
// returns ErrNotDurable when a checkpoint failed: nothing more can be made
// durable by this process, and whoever starts the next one has the deliveries
// since the last checkpoint written again.
func (s *Store) Run(ctx context.Context) error {
	every := min(s.vol.Config.CheckpointInterval, s.vol.Config.SyncInterval)
	timer := s.vol.Clock.NewTimer(every)
	defer timer.Stop()
	var checked, looked time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.vol.Points.Broken():
			return s.vol.Points.Failure()
		case <-timer.C():
		}
		now := s.vol.Clock.Now()
		// A clock that went back must not stop the work.
		if age := now.Sub(checked); age >= s.vol.Config.CheckpointInterval || age < 0 {
			checked = now
			s.background(ctx)
		}
		if age := now.Sub(looked); age >= s.vol.Config.SyncInterval || age < 0 {
			looked = now
			s.look(ctx)
		}
		timer.Reset(every)
	}
}

// background makes everything durable and writes what is written lazily.
func (s *Store) background(ctx context.Context) {
	if err := s.Checkpoint(ctx); err != nil && ctx.Err() == nil {
		s.vol.Log.Error("checkpoint of the mail store", "cause", err)
	}
	s.memory.Trim(s.vol.Clock.Now())
	s.journal.MakeRoom()
	s.vol.FillReserve(false)
	durable := s.vol.Points.Durable()
	for _, mb := range s.lazyOnes() {
		if ctx.Err() != nil {
			return
		}
		if err := mb.Tidy(ctx, durable); err != nil && ctx.Err() == nil {
			s.vol.Log.Warn("background work of a mailbox", "path", mb.Path(), "cause", err)
		}
		mb.Put()
	}
	s.mu.Lock()
	accounts := make([]*heldAccount, 0, len(s.accounts))
	for _, a := range s.accounts {
		a.refs++
		accounts = append(accounts, a)
	}
	s.mu.Unlock()
	for _, a := range accounts {
		a.Quota.Flush()
		a.Quota.Expire()
		s.putAccount(a)
	}
}

// look checks the mailboxes that sessions have open.
func (s *Store) look(ctx context.Context) {
	for _, mb := range s.inUse() {
		if err := mb.Refresh(ctx); err != nil && ctx.Err() == nil {
			s.vol.Log.Warn("checking a mailbox for changes", "path", mb.Path(), "cause", err)
		}
		mb.Put()
	}
}
