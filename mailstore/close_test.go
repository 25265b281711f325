package mailstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"toastmaster/internal/testkit/faultfs"
)

// TestCloseEnds: last work has a limit, and what it left undone is done by the
// next Open.
func TestCloseEnds(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	o.Store.CloseTimeout = time.Nanosecond
	s, err := Open(t.Context(), o)
	check(t, err)
	u := openUser(t, s)
	if _, _, err := u.Append(t.Context(), "INBOX", nil, time.Time{}, message("kept")); err != nil {
		t.Fatal(err)
	}
	check(t, u.Close())
	if err := s.Close(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("closed without an end of the time: %v", err)
	}
	if _, err := os.Stat(home(o.Root, uidListFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a mailbox was written after the end of the time: %v", err)
	}
	o.Store.CloseTimeout = time.Minute
	s, err = Open(t.Context(), o)
	check(t, err)
	if got := subjectsOf(t, s, "INBOX"); got["kept"] != 1 {
		t.Errorf("%v", got)
	}
	check(t, s.Close())
}

// TestRunEndsWhenNothingCanBeMadeDurable: a sync that failed once is not
// repeated and believed, and whoever runs the store is told.
func TestRunEndsWhenNothingCanBeMadeDurable(t *testing.T) {
	t.Parallel()
	f := faultfs.Wrap(faultfs.NewDisk())
	o := options("/mail")
	o.FS = f
	s, err := Open(t.Context(), o)
	check(t, err)
	ended := make(chan error)
	go func() { ended <- s.Run(t.Context()) }()
	deliver(t, s, Delivery{Content: message("queued")})
	f.FailNth(faultfs.SyncFS, f.Count(faultfs.SyncFS)+1, faultfs.EIO)
	for range 2 {
		if err := s.Checkpoint(t.Context()); !errors.Is(err, ErrNotDurable) || !errors.Is(err, faultfs.EIO) {
			t.Errorf("Checkpoint: %v", err)
		}
	}
	if err := <-ended; !errors.Is(err, ErrNotDurable) {
		t.Errorf("Run: %v", err)
	}
	if err := s.Close(); !errors.Is(err, ErrNotDurable) {
		t.Errorf("Close: %v", err)
	}
}
