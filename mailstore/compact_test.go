package mailstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/index"
)

// TestASnapshotThatFailsLeavesNoLock: there is no room for a snapshot, and
// other processes go on in the mailbox all the same.
func TestASnapshotThatFailsLeavesNoLock(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	o.Store.LogLimit = 1
	disk := faultfs.Wrap(vfs.OS{})
	o.FS = disk
	s, err := Open(t.Context(), o)
	check(t, err)
	for range 5 { // a log longer than half the snapshot
		deliver(t, s, Delivery{Content: message("x")})
	}
	mb := s.boxes[home(s.vol.Root)]
	disk.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.Create && strings.Contains(name, index.SnapshotFile) {
			return faultfs.ENOSPC
		}
		return nil
	})
	if err := mb.Tidy(t.Context(), 0); !errors.Is(err, faultfs.ENOSPC) {
		t.Fatalf("no snapshot failed: %v", err)
	}
	other := openStore(t, o.Root)
	done := make(chan error, 1)
	go func() { done <- other.Deliver(t.Context(), alice(), &Delivery{Content: message("next")}) }()
	select {
	case err := <-done:
		check(t, err)
	case <-time.After(time.Minute):
		t.Fatal("the mailbox stays locked")
	}
	check(t, other.Close())
	check(t, s.Close())
}
