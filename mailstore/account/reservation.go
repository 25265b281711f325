package account

import (
	"context"
	"fmt"
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
	// over: it was redeemed or cancelled.
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

// exceeds says that so much more does not fit. grace is -1 for none, not even for a
// message that begins below the limit.
func (q *Quota) exceeds(size, count, grace int64) bool {
	used := q.now.Bytes + q.reserved.Bytes + q.theirs.Bytes
	messages := q.now.Messages + q.reserved.Messages + q.theirs.Messages
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
// nil without a quota. The caller redeems or cancels it. Other processes know of it
// when Reserve returns; volume.ErrBusy when they cannot be told within
// store.lock_timeout.
func (q *Quota) Reserve(ctx context.Context, id string, size, count int64, why Purpose) (r *Reservation, err error) {
	err = q.room(ctx, func() (fit fit, err error) {
		r, fit, err = q.take(ctx, id, Usage{size, count}, why)
		return fit, err
	})
	return r, err
}

// Fits says whether so much may come in now: volume.ErrOverQuota when not.
func (q *Quota) Fits(ctx context.Context, size, count int64, why Purpose) error {
	return q.room(ctx, func() (fit, error) {
		q.mu.Lock()
		defer q.mu.Unlock()
		c, err := q.readChanges()
		if err == nil && c != nil {
			q.theirs, _, err = c.ofOthers()
		}
		if err != nil {
			return full, volume.Err(err)
		}
		return q.fits(size, count, why), nil
	})
}

// fit says whether something fits.
type fit uint8

const (
	full fit = iota
	fitting
	// uncounted: what is used must be counted first.
	uncounted
)

func (q *Quota) fits(size, count int64, why Purpose) fit {
	if q.exceeds(size, count, q.grace(q.limits.Bytes, why)) {
		return full
	}
	return fitting
}

// room asks ask, and once more after a look at what is there; volume.ErrOverQuota when it
// says no to both.
func (q *Quota) room(ctx context.Context, ask func() (fit, error)) error {
	q.mu.Lock()
	limits := q.limits
	q.mu.Unlock()
	if limits == (Usage{}) {
		return nil
	}
	looked, counts := false, 0
	for {
		if _, err := q.Used(ctx); err != nil {
			return err
		}
		answer, err := ask()
		switch {
		case err != nil || answer == fitting:
			return err
		case answer == uncounted:
			if counts++; counts > countTries {
				return fmt.Errorf("%w: %s: %s is taken away all the time", volume.ErrBusy, q.acct.home, dirSizeFile)
			}
		case looked:
			return volume.ErrOverQuota
		default:
			looked = true
			if err := q.Look(ctx); err != nil {
				return err
			}
		}
	}
}

// With runs f, which stores so much on behalf of the user, if there is room
// for it.
func (q *Quota) With(ctx context.Context, size, count int64, f func() error) error {
	r, err := q.Reserve(ctx, "", size, count, Saving)
	if err != nil {
		return err
	}
	defer r.Cancel()
	return f()
}

// take is the decision of Reserve, with the reservation that counts when it fits.
func (q *Quota) take(ctx context.Context, id string, room Usage, why Purpose) (*Reservation, fit, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if held := q.held[id]; held != nil {
		return held, fitting, nil
	}
	if err := q.among().Lock(ctx); err != nil {
		return nil, full, err
	}
	defer q.disk.Unlock()
	c, err := q.readChanges()
	if err == nil && c != nil {
		q.theirs, err = q.settleLocked(c)
	}
	if err != nil {
		return nil, full, volume.Err(err)
	}
	if !q.readUsage() { // another process has changed it since it was read
		return nil, uncounted, nil
	}
	if q.fits(room.Bytes, room.Messages, why) == full {
		return nil, full, nil
	}
	before := q.reserved
	q.reserved = Usage{before.Bytes + room.Bytes, before.Messages + room.Messages}
	if c != nil {
		err = q.tell(c)
	}
	if err != nil {
		q.reserved = before
		return nil, full, volume.Err(err)
	}
	r := &Reservation{q: q, id: id, room: room, until: q.acct.vol.Clock.Now().Add(q.acct.vol.Config.ReservationTime)}
	if id == "" {
		return r, fitting, nil
	}
	if q.held == nil {
		q.held = map[string]*Reservation{}
	}
	q.held[id] = r
	// The account stays in memory as long as it has any.
	q.acct.o.Retain(1)
	return r, fitting, nil
}

// Cancel gives a reservation back; one that was redeemed, or none, is none.
func (r *Reservation) Cancel() {
	if r == nil {
		return
	}
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	r.q.drop(r)
	r.q.pay()
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
	q.acct.o.Retain(-1) // not the last one
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
	q.pay()
}

// Unreserve gives back what was reserved for a delivery that will not come.
func (q *Quota) Unreserve(id string) {
	q.mu.Lock()
	r := q.held[id]
	q.mu.Unlock()
	r.Cancel()
}

// Fits says whether so much may come into an account that is not there yet.
func Fits(vol *volume.Volume, limits Usage, size int64) bool {
	q := Quota{acct: &Account{vol: vol}, limits: limits}
	return !q.exceeds(size, 1, q.grace(limits.Bytes, Delivering))
}
