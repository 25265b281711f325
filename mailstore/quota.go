package mailstore

import (
	"context"
	"errors"
	"path/filepath"

	"toastmaster/mailstore/account"
	"toastmaster/mailstore/volume"
)

// Usage is what an account occupies, all folders together.
type Usage = account.Usage

// Usage reports it. An account that never received anything is empty, not an
// error.
func (s *Store) Usage(ctx context.Context, acc Account) (Usage, error) {
	a, err := s.acquireExisting(acc)
	if a == nil {
		return Usage{}, err
	}
	defer s.putAccount(a)
	if err := a.Quota.Look(ctx); err != nil {
		return Usage{}, err
	}
	return a.Quota.Used(ctx)
}

// sum looks into the mailboxes of these names and adds up what they hold.
func (a *heldAccount) sum(ctx context.Context, names []string) (sum Usage, err error) {
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		mb, err := a.open(ctx, name)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrInvalidName) {
			continue
		}
		if volume.Odd(err) {
			a.vol.SayOnce(filepath.Join(a.home, name), "a folder that cannot be opened is not counted", err)
			continue
		}
		if err != nil {
			return sum, err
		}
		err = mb.Refresh(ctx)
		mb.AddTo(&sum)
		mb.Put()
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// Reserve counts a message that is about to be accepted into the quota of its
// mailbox, until it is delivered with the same ID, or Unreserve is called, or
// store.quota_reservation_time is over. ErrOverQuota when it does not fit beside
// what is there and what others have reserved. Without a quota it does nothing.
func (s *Store) Reserve(ctx context.Context, acc Account, id string, size int64) error {
	if acc.QuotaBytes == 0 && acc.QuotaMessages == 0 {
		return nil
	}
	a, err := s.acquire(acc)
	if err != nil {
		return err
	}
	defer s.putAccount(a)
	_, err = a.Quota.Reserve(ctx, id, size, 1, account.Delivering)
	return err
}

// Unreserve gives back what Reserve took for a message that will not be
// delivered.
func (s *Store) Unreserve(acc Account, id string) {
	home, err := s.home(acc)
	if err != nil {
		return
	}
	s.mu.Lock()
	a := s.accounts[home]
	if a == nil {
		s.mu.Unlock()
		return
	}
	a.refs++
	s.mu.Unlock()
	a.Quota.Unreserve(id)
	s.putAccount(a)
}

// Fits says whether mail of this size, 0 when it is not known, would fit now:
// ErrOverQuota when not.
func (s *Store) Fits(ctx context.Context, acc Account, size int64) error {
	if acc.QuotaBytes == 0 && acc.QuotaMessages == 0 {
		return nil
	}
	a, err := s.acquireExisting(acc)
	if a == nil {
		if err == nil && !account.Fits(s.vol, Usage{Bytes: acc.QuotaBytes, Messages: acc.QuotaMessages}, size) {
			return ErrOverQuota
		}
		return err
	}
	defer s.putAccount(a)
	return a.Quota.Fits(ctx, size, 1, account.Delivering)
}
