package queue

import (
	"context"
	"errors"
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
)

// TestCloseEndsTheWaitForRoom: whoever waits for a place in a full queue is
// told at once that it closes.
func TestCloseEndsTheWaitForRoom(t *testing.T) {
	t.Parallel()
	clk := clocktest.New(time.Unix(1_700_000_000, 0))
	o := options(faultfs.NewDisk())
	o.Clock = clk
	o.Config.IncomingLimit, o.Config.AddWait = 1, time.Hour
	q := open(t, o)
	add(t, q, "1", "a")
	timers := clk.Timers()
	refused := make(chan error, 1)
	go func() { refused <- q.Add(context.Background(), testEnvelope(q, "a"), nil, envelope.Memory("2")) }()
	if err := clk.WaitTimers(t.Context(), timers+1); err != nil {
		t.Fatal(err)
	}
	closeQueue(t, q)
	select {
	case err := <-refused:
		if !errors.Is(err, ErrClosed) || dsn.From(err).Status != dsn.ShuttingDown {
			t.Errorf("%v", err)
		}
	case <-time.After(time.Minute):
		clk.Advance(time.Hour)
		t.Fatalf("waited for queue.add_wait: %v", <-refused)
	}
}

// TestDeleteEndsWithItsContext: removing a message waits for the disk no longer
// than the caller does.
func TestDeleteEndsWithItsContext(t *testing.T) {
	t.Parallel()
	q := running(t, options(faultfs.NewDisk()))
	env := add(t, q, "1", "a")
	it := take(t, q)
	it.Failed(0, dsn.New(dsn.NoAnswer, "no"))
	closeItem(t, it, time.Now().Add(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Delete(ctx, env.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := q.Delete(t.Context(), env.ID); err != nil {
		t.Errorf("%v", err)
	}
}
