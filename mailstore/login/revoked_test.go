package login

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/directory"
	"toastmaster/directory/logins"
	"toastmaster/directory/password"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
)

// TestSessionEndsWithItsLogIn: with a change between the password and the end
// of the log-in, too.
func TestSessionEndsWithItsLogIn(t *testing.T) {
	t.Parallel()
	for _, during := range []bool{false, true} {
		g := newGate(t, &bytes.Buffer{})
		asked := atomic.Int32{}
		g.Watch = logins.NewWatch(logins.WatchOptions{Log: g.Log, Clock: clock.System{}, Interval: time.Hour,
			Recheck: func(_ context.Context, box directory.Mailbox) error {
				asked.Add(1)
				if box.Home != "example.test/alice" {
					t.Errorf("asked for %+v", box)
				}
				return dsn.New(dsn.AuthFailed, "gone")
			}})
		if authenticate := g.Authenticate; during {
			g.Authenticate = func(ctx context.Context, a password.Attempt) (directory.Mailbox, error) {
				box, err := authenticate(ctx, a)
				g.Watch.Changed()
				return box, err
			}
		}
		s := connect(t, g, "127.0.0.1:9")
		if err := s.Check(t.Context()); err != nil || s.Revoked() {
			t.Errorf("before log-in: %v", err)
		}
		if err := s.Login(t.Context(), "USER", "alice", "secret"); err != nil {
			t.Fatal(err)
		}
		if !during {
			if err := s.Check(t.Context()); err != nil || asked.Load() != 0 {
				t.Errorf("nothing has changed: %v, asked %d times", err, asked.Load())
			}
			g.Watch.Changed()
		}
		if err := s.Check(t.Context()); !errors.Is(err, ErrRevoked) || !s.Revoked() {
			t.Errorf("after the change: %v", err)
		}
		s.Disconnect("revoked", "")
	}
}
