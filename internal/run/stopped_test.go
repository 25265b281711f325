package run

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"toastmaster/internal/testkit/clocktest"
	"toastmaster/mta/queue"
)

// TestStartWaitsForACommand: a queue that a command has is waited for, as long as lockWait; any other
// error, and the end of the start, come at once.
func TestStartWaitsForACommand(t *testing.T) {
	t.Parallel()
	inUse := fmt.Errorf("%w: here", queue.ErrInUse)
	clk := clocktest.New(time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC))
	tries := 0
	done := make(chan error, 1)
	go func() {
		_, err := waitForQueue(t.Context(), clk, func() (*queue.Queue, error) {
			if tries++; tries == 3 {
				return nil, nil
			}
			return nil, inUse
		})
		done <- err
	}()
	for range 2 {
		if err := clk.WaitTimers(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		clk.Advance(time.Second)
	}
	if err := <-done; err != nil || tries != 3 {
		t.Errorf("%v after %d tries", err, tries)
	}
	if _, err := waitForQueue(t.Context(), clk, func() (*queue.Queue, error) { clk.Advance(lockWait); return nil, inUse }); !errors.Is(err, queue.ErrInUse) {
		t.Errorf("%v", err)
	}
	if _, err := waitForQueue(t.Context(), clk, func() (*queue.Queue, error) { return nil, queue.ErrAbsent }); !errors.Is(err, queue.ErrAbsent) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := waitForQueue(ctx, clk, func() (*queue.Queue, error) { return nil, inUse }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
