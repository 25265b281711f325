package mailstore

import (
	"context"
	"path/filepath"
	"time"

	"toastmaster/internal/service"
	"toastmaster/mailstore/notify"
	"toastmaster/mailstore/volume"
)

// Run does the background work until ctx is cancelled: checkpoints while mail
// arrives, changes by other programs in open mailboxes, dovecot-uidlist. It
// returns ErrNotDurable when a checkpoint failed: nothing more can be made
// durable by this process, and whoever starts the next one has the deliveries
// since the last checkpoint written again.
func (s *Store) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	poked := make(chan struct{})
	go func() {
		defer close(poked)
		s.pokes.Run(ctx, s.poked)
	}()
	defer func() {
		cancel()
		<-poked
	}()
	every := min(s.vol.Config.CheckpointInterval, s.vol.Config.SyncInterval)
	timer := s.vol.Clock.NewTimer(every)
	defer timer.Stop()
	var checked, looked, forgot time.Time
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
			if err := s.pokes.Meet(); err != nil {
				s.vol.Log.Warn("other processes on the mail store cannot be told of changes", "cause", err)
			}
		}
		if age := now.Sub(forgot); age >= volume.RemovalMemory/4 || age < 0 {
			forgot = now
			if err := s.vol.ForgetRemoved(); err != nil {
				s.vol.Log.Warn("forgetting removed accounts", "cause", err)
			}
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
	for _, a := range s.allAccounts() {
		if err := s.removedElsewhere(a); err != nil && ctx.Err() == nil {
			s.vol.Log.Warn("looking for an account", "path", a.home, "cause", err)
		}
		a.Quota.Expire()
		s.putAccount(a)
	}
}

// poked looks where another process says that something changed.
func (s *Store) poked(ctx context.Context, at notify.Change) {
	err := service.Fenced(s.vol.Log, func() error {
		home := filepath.Join(s.vol.Root, at.Home)
		s.mu.Lock()
		a, mb := s.accounts[home], s.boxes[filepath.Join(home, at.Dir)]
		switch {
		case at.All && a != nil && !s.closed:
			a.refs++
		case !at.All && mb != nil && mb.refs > 0 && !s.closed:
			mb.refs++
		default:
			s.mu.Unlock()
			return nil // it is looked at when it is used
		}
		s.mu.Unlock()
		if at.All {
			defer s.putAccount(a)
			return s.removedElsewhere(a)
		}
		defer s.put(mb)
		return mb.Refresh(ctx)
	}, "service", "store", "step", "poke")
	if err != nil && ctx.Err() == nil {
		s.vol.Log.Warn("looking at what another process has changed", "path", filepath.Join(at.Home, at.Dir), "cause", err)
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
