package mailstore

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/index"
)

// stop is another process that was stopped while it had a mailbox locked; it
// goes on when the result is called.
func stop(t *testing.T, path string) (goOn func()) {
	t.Helper()
	f, err := vfs.OS{}.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	check(t, f.TryLock())
	return func() { check(t, errors.Join(f.Unlock(), f.Close())) }
}

// TestAStoppedProcess: another process keeps a mailbox locked. Whoever wants
// the mailbox, the background work too, waits store.lock_timeout once in all;
// then it is busy, until the other goes on.
func TestAStoppedProcess(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	clk := clocktest.New(time.Now())
	o.Clock = clk
	s, err := Open(t.Context(), o)
	check(t, err)
	deliver(t, s, Delivery{Content: message("first")})
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	mb := s.boxes[home(s.vol.Root)]
	goOn := stop(t, home(s.vol.Root, index.LogFile))
	check(t, s.journal.Checkpoint(t.Context())) // its goroutine has begun to wait
	others := clk.Timers()

	const users = 5
	done := make(chan error, users)
	for range users - 1 {
		go func() { done <- s.Deliver(t.Context(), alice(), &Delivery{Content: message("next")}) }()
	}
	go func() { done <- v.Expunge(t.Context(), []uint32{1}) }()
	check(t, clk.WaitTimers(t.Context(), others+1))
	clk.Advance(o.Store.LockTimeout)
	for range users {
		select {
		case err := <-done:
			if !errors.Is(err, ErrBusy) || !DSN(err).Temporary() {
				t.Errorf("%v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("still waits")
		}
	}
	s.vol.Config.LogLimit = 0
	if err := mb.Tidy(t.Context(), 0); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("background work: %v", err)
	}
	goOn()
	deliver(t, s, Delivery{Content: message("last")})
	if got := subjectsOf(t, s, "INBOX"); got["first"] != 1 || got["next"] != 0 || got["last"] != 1 {
		t.Errorf("%v", got)
	}
	check(t, s.Close())
}

// TestAWaitForALockEndsWithItsContext: as that of a session which is over, and
// is no reason for others not to wait.
func TestAWaitForALockEndsWithItsContext(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	clk := clocktest.New(time.Now())
	o.Clock = clk
	s, err := Open(t.Context(), o)
	check(t, err)
	deliver(t, s, Delivery{Content: message("first")})
	goOn := stop(t, home(s.vol.Root, index.LogFile))
	check(t, s.journal.Checkpoint(t.Context())) // its goroutine has begun to wait
	others := clk.Timers()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	deliverIn := func(ctx context.Context) { done <- s.Deliver(ctx, alice(), &Delivery{Content: message("next")}) }
	go deliverIn(ctx)
	check(t, clk.WaitTimers(t.Context(), others+1))
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	go deliverIn(t.Context())
	check(t, clk.WaitTimers(t.Context(), others+1))
	goOn()
	clk.Advance(time.Second)
	check(t, <-done)
	check(t, s.Close())
}
