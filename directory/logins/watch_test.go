package logins

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/directory"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
)

var alice = directory.Mailbox{Home: "example.test/alice"}

// watched is a log-in of alice's. The question whether it is good gets the
// answer that answer holds; cut hears of its end.
func watched(t *testing.T) (l *Login, w *Watch, answer *atomic.Pointer[dsn.Error], cut chan struct{}) {
	t.Helper()
	answer, cut = &atomic.Pointer[dsn.Error]{}, make(chan struct{}, 10)
	w = NewWatch(WatchOptions{Log: msglog.Discard(), Clock: clock.System{}, Interval: time.Hour,
		Recheck: func(_ context.Context, box directory.Mailbox) error {
			if box != alice {
				t.Errorf("asked for %+v", box)
			}
			if e := answer.Load(); e != nil {
				return e
			}
			return nil
		}})
	l = w.Begin(func() { cut <- struct{}{} })
	l.Confirm(alice)
	return l, w, answer, cut
}

var gone, away = dsn.New(dsn.AuthFailed, "gone"), dsn.New(dsn.AuthUnavailable, "away")

func TestCheck(t *testing.T) {
	t.Parallel()
	l, w, answer, _ := watched(t)
	expect := func(what string, want error) {
		t.Helper()
		if err := l.Check(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	answer.Store(gone)
	expect("nothing was said to have changed", nil)
	answer.Store(away)
	w.Changed()
	expect("directory away", away)
	answer.Store(nil)
	expect("directory back", nil)
	answer.Store(gone)
	expect("known to be good", nil)
	w.Changed()
	expect("changed", ErrRevoked)
	answer.Store(nil)
	expect("once ended", ErrRevoked)
}

func TestNobodyIsWatched(t *testing.T) {
	t.Parallel()
	var none *Watch
	l := none.Begin(nil)
	l.Confirm(alice)
	if err := l.Check(t.Context()); err != nil || l.Revoked() {
		t.Error(err)
	}
	l.End()
	// A failed attempt is not asked for.
	_, w, answer, _ := watched(t)
	failed := w.Begin(nil)
	answer.Store(gone)
	w.Changed()
	if err := failed.Check(t.Context()); err != nil {
		t.Error(err)
	}
	failed.End()
}

func TestWatchEndsSessions(t *testing.T) {
	t.Parallel()
	l, w, answer, cut := watched(t)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- w.Run(ctx) }()
	answer.Store(gone)
	w.Changed()
	<-cut
	if !l.Revoked() {
		t.Error("not revoked")
	}
	l.End()
	w.mu.Lock()
	if n := len(w.logins); n != 0 {
		t.Errorf("%d log-ins stay", n)
	}
	w.mu.Unlock()
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// TestChangeDuringALogIn: the round of the change did not see the log-in, so
// another one follows.
func TestChangeDuringALogIn(t *testing.T) {
	t.Parallel()
	first, w, answer, _ := watched(t)
	late := w.Begin(nil)
	answer.Store(gone)
	w.Changed()
	<-w.wake
	w.round(t.Context())
	late.Confirm(alice)
	if !first.Revoked() || late.Revoked() {
		t.Error("the round was to see the first log-in only")
	}
	select {
	case <-w.wake:
		w.round(t.Context())
	default:
		t.Fatal("no other round")
	}
	if !late.Revoked() {
		t.Error("the log-in outlives the change")
	}
}

// TestLastLoginsAreAlwaysSomewhere: while they are written down, and when that fails or is
// given up because of a stop, the last log-ins are still told.
func TestLastLoginsAreAlwaysSomewhere(t *testing.T) {
	t.Parallel()
	var w *Watch
	told := func() int { return len(w.LastOf("a@example.test")) }
	ctx, stop := context.WithCancel(t.Context())
	var during, written int
	fail := errors.New("no disk")
	w = NewWatch(WatchOptions{Log: msglog.Discard(), Clock: clock.System{}, Interval: time.Hour, Keep: func(ctx context.Context, last []Last) error {
		during = told()
		if fail == nil {
			written = len(last)
		}
		return fail
	}})
	w.mu.Lock()
	w.remember("a@example.test", Session{Service: "imapd", Since: time.Unix(1, 0)})
	w.mu.Unlock()
	w.keep(ctx)
	if during != 1 || told() != 1 {
		t.Errorf("it fails: %d told meanwhile, %d afterwards", during, told())
	}
	stop()
	fail = ctx.Err()
	w.keep(ctx)
	if during != 1 || told() != 1 {
		t.Errorf("given up: %d told meanwhile, %d afterwards", during, told())
	}
	fail = nil
	w.keep(t.Context())
	if during != 1 || written != 1 || told() != 0 {
		t.Errorf("it is done: %d told meanwhile, %d written, %d told afterwards", during, written, told())
	}
}
