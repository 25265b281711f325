package clocktest

import (
	"context"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func fired(c <-chan time.Time) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestTimersFireWhenMoved(t *testing.T) {
	t.Parallel()
	c := New(epoch)
	early, late, now := c.NewTimer(time.Second), c.NewTimer(time.Minute), c.NewTimer(0)
	if !fired(now.C()) || fired(early.C()) {
		t.Fatal("only the timer of no time fires at once")
	}
	c.Advance(time.Second)
	if !fired(early.C()) || fired(late.C()) {
		t.Error("after a second")
	}
	if !late.Stop() || late.Stop() {
		t.Error("Stop says whether it was waiting")
	}
	c.Advance(time.Hour)
	if fired(late.C()) {
		t.Error("a stopped timer fired")
	}
	if got := c.Now(); got != epoch.Add(time.Hour+time.Second) {
		t.Error(got)
	}
}

func TestResetDropsAStaleValue(t *testing.T) {
	t.Parallel()
	c := New(epoch)
	timer := c.NewTimer(time.Second)
	c.Advance(time.Second)
	if timer.Reset(time.Minute) {
		t.Error("it had fired")
	}
	if fired(timer.C()) {
		t.Error("stale value")
	}
	c.Advance(time.Minute)
	if !fired(timer.C()) {
		t.Error("not after Reset")
	}
}

func TestWaitTimers(t *testing.T) {
	t.Parallel()
	c := New(epoch)
	go c.NewTimer(time.Second)
	if err := c.WaitTimers(t.Context(), 1); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c.WaitTimers(ctx, 2) == nil {
		t.Error("there is no second timer")
	}
}
