// Package clocktest is a clock that stands still until a test moves it.
//
// [Clock.Advance] moves it and fires the timers that became due, in order of
// their time. [Clock.WaitTimers] waits until the code under test has made
// timers, so that a test need not sleep to know that it waits.
package clocktest

import (
	"context"
	"slices"
	"sync"
	"time"

	"toastmaster/internal/clock"
)

// Clock is a clock.Clock for tests. Safe for concurrent use.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	timers  []*timer
	changed chan struct{} // closed and replaced when timers changes
}

// New makes a clock that shows now.
func New(now time.Time) *Clock { return &Clock{now: now, changed: make(chan struct{})} }

type timer struct {
	clock *Clock
	at    time.Time
	c     chan time.Time
}

// Now is the time it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// NewTimer makes a timer that fires when the clock has moved by d; at once for
// d <= 0.
func (c *Clock) NewTimer(d time.Duration) clock.Timer {
	t := &timer{clock: c, c: make(chan time.Time, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(t, d)
	return t
}

func (c *Clock) add(t *timer, d time.Duration) {
	t.at = c.now.Add(d)
	if d <= 0 {
		t.c <- c.now
		return
	}
	c.timers = append(c.timers, t)
	close(c.changed)
	c.changed = make(chan struct{})
}

// Advance moves the clock. Timers fire with the time they were set to.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	slices.SortStableFunc(c.timers, func(a, b *timer) int { return a.at.Compare(b.at) })
	for len(c.timers) > 0 && !c.timers[0].at.After(c.now) {
		t := c.timers[0]
		c.timers = c.timers[1:]
		t.c <- t.at
	}
}

// Set sets the clock by d, as somebody does who finds it wrong: it shows another time, and what waits for a time to pass
// waits as long as before.
func (c *Clock) Set(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for _, t := range c.timers {
		t.at = t.at.Add(d)
	}
}

// Timers is how many timers wait.
func (c *Clock) Timers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

// WaitTimers waits until at least n timers wait, or ctx ends.
func (c *Clock) WaitTimers(ctx context.Context, n int) error {
	for {
		c.mu.Lock()
		enough, changed := len(c.timers) >= n, c.changed
		c.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *timer) C() <-chan time.Time { return t.c }

// Stop has the meaning of time.Timer.Stop: no stale value is received later.
func (t *timer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.stop()
}

func (t *timer) stop() bool {
	select {
	case <-t.c:
	default:
	}
	i := slices.Index(t.clock.timers, t)
	if i < 0 {
		return false
	}
	t.clock.timers = slices.Delete(t.clock.timers, i, i+1)
	return true
}

func (t *timer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	active := t.stop()
	t.clock.add(t, d)
	return active
}
