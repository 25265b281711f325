package login

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/directory"
	"toastmaster/directory/password"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
)

// watched is a session of a gate with a Watch whose question gets the answer
// that answer holds.
func watched(t *testing.T) (s *Session, w *Watch, answer *atomic.Pointer[dsn.Error], cut chan struct{}) {
	t.Helper()
	answer, cut = &atomic.Pointer[dsn.Error]{}, make(chan struct{}, 10)
	g := newGate(t, &bytes.Buffer{})
	w = NewWatch(WatchOptions{Log: g.Log, Clock: clock.System{}, Interval: time.Hour,
		Recheck: func(_ context.Context, box directory.Mailbox) error {
			if box.Home != "example.test/alice" {
				t.Errorf("asked for %+v", box)
			}
			if e := answer.Load(); e != nil {
				return e
			}
			return nil
		}})
	g.Watch = w
	s = connect(t, g, "127.0.0.1:9")
	s.OnRevoke(func() { cut <- struct{}{} })
	if err := s.Login(t.Context(), "USER", "alice", "secret"); err != nil {
		t.Fatal(err)
	}
	return s, w, answer, cut
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s, w, answer, _ := watched(t)
	expect := func(what string, want error) {
		t.Helper()
		if err := s.Check(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	gone, away := dsn.New(dsn.AuthFailed, "gone"), dsn.New(dsn.AuthUnavailable, "away")
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

func TestWatchEndsSessions(t *testing.T) {
	t.Parallel()
	s, w, answer, cut := watched(t)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- w.Run(ctx) }()
	answer.Store(dsn.New(dsn.AuthFailed, "gone"))
	w.Changed()
	<-cut
	if !s.Revoked() {
		t.Error("not revoked")
	}
	s.Disconnect("revoked", "")
	if n := len(w.sessions); n != 0 {
		t.Errorf("%d sessions stay", n)
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// TestChangeDuringALogIn: the round of the change did not see the session, so
// another one follows.
func TestChangeDuringALogIn(t *testing.T) {
	t.Parallel()
	first, w, answer, _ := watched(t)
	g := first.gate
	late := connect(t, g, "127.0.0.1:9")
	authenticate := g.Authenticate
	g.Authenticate = func(ctx context.Context, a password.Attempt) (directory.Mailbox, error) {
		box, err := authenticate(ctx, a)
		answer.Store(dsn.New(dsn.AuthFailed, "gone"))
		w.Changed()
		<-w.wake
		w.round(ctx)
		return box, err
	}
	if err := late.Login(t.Context(), "USER", "alice", "secret"); err != nil {
		t.Fatal(err)
	}
	if !first.Revoked() || late.Revoked() {
		t.Error("the round was to see the first session only")
	}
	select {
	case <-w.wake:
		w.round(t.Context())
	default:
		t.Fatal("no other round")
	}
	if !late.Revoked() {
		t.Error("the session outlives the change")
	}
}
