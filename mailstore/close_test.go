package mailstore

import (
	"context"
	"errors"
	"testing"
	"time"
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
	o.Store.CloseTimeout = time.Minute
	s, err = Open(t.Context(), o)
	check(t, err)
	if got := subjectsOf(t, s, "INBOX"); got["kept"] != 1 {
		t.Errorf("%v", got)
	}
	check(t, s.Close())
}
