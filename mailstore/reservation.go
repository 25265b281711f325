package mailstore

import (
	"context"
	"time"
)

// reservation is room in an account with a quota for a message that is not
// there yet.
type reservation struct {
	acct *account
	id   string // of the delivery; "" for one within a call
	room Usage
	// until is when the store gives up waiting for the delivery.
	until time.Time
	// over: it was redeemed or released.
	over bool
}

// kind of storing decides how a quota is read.
type storing uint8

const (
	// saving is a user's own: not one octet more than the quota.
	saving storing = iota
	// delivering is mail that comes in: the last message that begins below the
	// quota may exceed it by store.quota_grace.
	delivering
)

// Reserve counts a message that is about to be accepted into the quota of its
// mailbox, until it is delivered with the same ID, or released, or
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
	defer s.releaseAccount(a)
	_, err = a.reserve(ctx, id, size, 1, delivering)
	return err
}

// Release gives back what Reserve took for a message that will not be
// delivered.
func (s *Store) Release(acc Account, id string) {
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
	a.usage.mu.Lock()
	r := a.usage.held[id]
	a.usage.mu.Unlock()
	r.release()
	s.releaseAccount(a)
}

// Fits says whether mail of this size, 0 when it is not known, would fit now:
// ErrOverQuota when not.
func (s *Store) Fits(ctx context.Context, acc Account, size int64) error {
	if acc.QuotaBytes == 0 && acc.QuotaMessages == 0 {
		return nil
	}
	a, err := s.acquireExisting(acc)
	if a == nil {
		if err == nil && (&usage{limits: Usage{acc.QuotaBytes, acc.QuotaMessages}}).over(size, 1, s.grace(acc.QuotaBytes, delivering)) {
			return ErrOverQuota
		}
		return err
	}
	defer s.releaseAccount(a)
	r, err := a.reserve(ctx, "", size, 1, delivering)
	r.release()
	return err
}

// grace is what a message may exceed a limit by.
func (s *Store) grace(limit int64, why storing) int64 {
	if why == saving {
		return -1
	}
	percent := int64(s.cfg.QuotaGrace)
	return limit/100*percent + limit%100*percent/100
}

// over says that so much more does not fit. grace is -1 for none, not even for a
// message that begins below the limit.
func (u *usage) over(size, count, grace int64) bool {
	used := u.now.Bytes + u.reserved.Bytes
	messages := u.now.Messages + u.reserved.Messages
	switch {
	case u.limits.Messages > 0 && messages+count > u.limits.Messages:
		return true
	case u.limits.Bytes == 0:
		return false
	case grace >= 0 && used >= u.limits.Bytes:
		return true
	}
	return size > u.limits.Bytes+max(grace, 0)-used
}

// reserve makes a reservation, or takes over the one that is held for id. It is
// nil without a quota. The caller redeems or releases it.
func (a *account) reserve(ctx context.Context, id string, size, count int64, why storing) (*reservation, error) {
	a.usage.mu.Lock()
	limits := a.usage.limits
	a.usage.mu.Unlock()
	if limits == (Usage{}) {
		return nil, nil
	}
	if _, err := a.used(ctx); err != nil {
		return nil, err
	}
	r := &reservation{acct: a, id: id, room: Usage{size, count}, until: a.store.clock.Now().Add(a.store.cfg.ReservationTime)}
	if got := a.take(r, why); got != nil {
		return got, nil
	}
	if err := a.look(ctx); err != nil {
		return nil, err
	}
	if _, err := a.used(ctx); err != nil {
		return nil, err
	}
	if got := a.take(r, why); got != nil {
		return got, nil
	}
	return nil, ErrOverQuota
}

// withQuota runs f, which stores so much on behalf of the user, if there is room
// for it.
func (a *account) withQuota(ctx context.Context, size, count int64, f func() error) error {
	r, err := a.reserve(ctx, "", size, count, saving)
	if err != nil {
		return err
	}
	defer r.release()
	return f()
}

// take is the decision of reserve: the reservation that counts, nil for no room.
func (a *account) take(r *reservation, why storing) *reservation {
	u := &a.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if held := u.held[r.id]; held != nil {
		return held
	}
	if u.over(r.room.Bytes, r.room.Messages, a.store.grace(u.limits.Bytes, why)) {
		return nil
	}
	u.reserved.Bytes, u.reserved.Messages = u.reserved.Bytes+r.room.Bytes, u.reserved.Messages+r.room.Messages
	if r.id == "" {
		return r
	}
	if u.held == nil {
		u.held = map[string]*reservation{}
	}
	u.held[r.id] = r
	// The account stays in memory as long as it has any.
	a.store.mu.Lock()
	a.refs++
	a.store.mu.Unlock()
	return r
}

// release gives a reservation back; one that was redeemed, or none, is none.
func (r *reservation) release() {
	if r == nil {
		return
	}
	u := &r.acct.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	r.acct.drop(r)
}

// drop ends a reservation; u.mu is held. Whoever calls it holds the account.
func (a *account) drop(r *reservation) {
	if r == nil || r.over {
		return
	}
	u := &a.usage
	r.over = true
	u.reserved.Bytes, u.reserved.Messages = u.reserved.Bytes-r.room.Bytes, u.reserved.Messages-r.room.Messages
	if r.id == "" {
		return
	}
	delete(u.held, r.id)
	a.store.mu.Lock()
	a.refs-- // not the last one
	a.store.mu.Unlock()
}

// expireReservations gives back what was reserved for mail that did not come.
// One whose time lies further ahead than any can was made by a clock that was
// ahead.
func (a *account) expireReservations() {
	u := &a.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	now := a.store.clock.Now()
	for _, r := range u.held {
		if left := r.until.Sub(now); left <= 0 || left > a.store.cfg.ReservationTime {
			a.drop(r)
		}
	}
}
