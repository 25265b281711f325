package logins

import (
	"context"
	"fmt"
	"testing"

	"toastmaster/internal/clock"
)

// TestManyLogInsAreWrittenDownSooner than the interval says, and none is forgotten.
func TestManyLogInsAreWrittenDownSooner(t *testing.T) {
	t.Parallel()
	kept := 0
	w := NewWatch(WatchOptions{Clock: clock.System{}, Keep: func(_ context.Context, last []Last) error {
		kept += len(last)
		return nil
	}})
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range maxLast / 2 {
		if len(w.wake) > 0 {
			t.Fatalf("after %d already", i)
		}
		w.remember(fmt.Sprintf("user%d@example.test", i), Session{Service: "imapd"})
	}
	if len(w.wake) != 1 {
		t.Error("nobody hurries")
	}
	w.mu.Unlock()
	w.keep(t.Context())
	w.mu.Lock()
	if kept != maxLast/2 || len(w.last) != 0 {
		t.Errorf("%d kept, %d wait", kept, len(w.last))
	}
}
