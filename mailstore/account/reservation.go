package account

import (
	"context"
	"time"

	"toastmaster/mailstore/volume"
)

// Reservation is room in an account with a quota for a message that is not
// there yet.
type Reservation struct {
	q    *Quota
	id   string // of the delivery; "" for one within a call
	room Usage
	// until is when the store gives up waiting for the delivery.
	until time.Time
	// over: it was redeemed or released.
	over bool
}

// Purpose is why something is stored; it decides how a quota is read.
type Purpose uint8

const (
	// Saving is a user's own: not one octet more than the quota.
	Saving Purpose = iota
	// Delivering is mail that comes in: the last message that begins below the
	// quota may exceed it by store.quota_grace.
	Delivering
)

// grace is what a message may exceed a limit by.
func (q *Quota) grace(limit int64, why Purpose) int64 {
	if why == Saving {
		return -1
	}
	percent := int64(q.acct.vol.Config.QuotaGrace)
	return limit/100*percent + limit%100*percent/100
}

// over says that so much more does not fit. grace is -1 for none, not even for a
// message that begins below the limit.
func (q *Quota) over(size, count, grace int64) bool {
	used := q.now.Bytes + q.reserved.Bytes
	messages := q.now.Messages + q.reserved.Messages
	switch {
	case q.limits.Messages > 0 && messages+count > q.limits.Messages:
		return true
	case q.limits.Bytes == 0:
		return false
	case grace >= 0 && used >= q.limits.Bytes:
		return true
	}
	return size > q.limits.Bytes+max(grace, 0)-used
}

// Reserve makes a reservation, or takes over the one that is held for id. It is
// nil without a quota. The caller redeems or releases it.
func (q *Quota) Reserve(ctx context.Context, id string, size, count int64, why Purpose) (*Reservation, error) {
	q.mu.Lock()
	limits := q.limits
	q.mu.Unlock()
	if limits == (Usage{}) {
		return nil, nil
	}
	if _, err := q.Used(ctx); err != nil {
		return nil, err
	}
	r := &Reservation{q: q, id: id, room: Usage{size, count}, until: q.acct.vol.Clock.Now().Add(q.acct.vol.Config.ReservationTime)}
	if got := q.take(r, why); got != nil {
		return got, nil
	}
	if err := q.Look(ctx); err != nil {
		return nil, err
	}
	if _, err := q.Used(ctx); err != nil {
		return nil, err
	}
	if got := q.take(r, why); got != nil {
		return got, nil
	}
	return nil, volume.ErrOverQuota
}

// With runs f, which stores so much on behalf of the user, if there is room
// for it.
func (q *Quota) With(ctx context.Context, size, count int64, f func() error) error {
	r, err := q.Reserve(ctx, "", size, count, Saving)
	if err != nil {
		return err
	}
	defer r.Release()
	return f()
}

// take is the decision of reserve: the reservation that counts, nil for no room.
func (q *Quota) take(r *Reservation, why Purpose) *Reservation {
	q.mu.Lock()
	defer q.mu.Unlock()
	if held := q.held[r.id]; held != nil {
		return held
	}
	if q.over(r.room.Bytes, r.room.Messages, q.grace(q.limits.Bytes, why)) {
		return nil
	}
	q.reserved.Bytes, q.reserved.Messages = q.reserved.Bytes+r.room.Bytes, q.reserved.Messages+r.room.Messages
	if r.id == "" {
		return r
	}
	if q.held == nil {
		q.held = map[string]*Reservation{}
	}
	q.held[r.id] = r
	// The account stays in memory as long as it has any.
	q.acct.o.Hold(1)
	return r
}

// Release gives a reservation back; one that was redeemed, or none, is none.
func (r *Reservation) Release() {
	if r == nil {
		return
	}
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	r.q.drop(r)
}

// drop ends a reservation; q.mu is held. Whoever calls it holds the account.
func (q *Quota) drop(r *Reservation) {
	if r == nil || r.over {
		return
	}
	r.over = true
	q.reserved.Bytes, q.reserved.Messages = q.reserved.Bytes-r.room.Bytes, q.reserved.Messages-r.room.Messages
	if r.id == "" {
		return
	}
	delete(q.held, r.id)
	q.acct.o.Hold(-1) // not the last one
}

// Expire gives back what was reserved for mail that did not come.
// One whose time lies further ahead than any can was made by a clock that was
// ahead.
func (q *Quota) Expire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.acct.vol.Clock.Now()
	for _, r := range q.held {
		if left := r.until.Sub(now); left <= 0 || left > q.acct.vol.Config.ReservationTime {
			q.drop(r)
		}
	}
}

// Release gives back what was reserved for a delivery that will not come.
func (q *Quota) Release(id string) {
	q.mu.Lock()
	r := q.held[id]
	q.mu.Unlock()
	r.Release()
}

// Fits says whether so much may come into an account that is not there yet.
func Fits(vol *volume.Volume, limits Usage, size int64) bool {
	q := Quota{acct: &Account{vol: vol}, limits: limits}
	return !q.over(size, 1, q.grace(limits.Bytes, Delivering))
}
