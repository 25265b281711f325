package vfs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"toastmaster/internal/clock"
)

// No lock of a file can be waited for within a limit of time, so it is tried again and
// again, after pauses that double from the first to the last.
const (
	firstPause = 100 * time.Microsecond
	lastPause  = 20 * time.Millisecond
)

// AwaitLock tries a lock until try returns something else than ErrLocked, ctx ends, or
// wait is over, which is ErrLocked. The first try is the caller's, before.
func AwaitLock(ctx context.Context, clk clock.Clock, wait time.Duration, try func() error) error {
	end := clk.Now().Add(wait)
	pause := firstPause
	timer := clk.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C():
		}
		if err := try(); !errors.Is(err, ErrLocked) {
			return err
		}
		left := end.Sub(clk.Now())
		if left <= 0 {
			return fmt.Errorf("%w for %v", ErrLocked, wait)
		}
		pause = min(2*pause, lastPause)
		timer.Reset(min(pause, left))
	}
}
