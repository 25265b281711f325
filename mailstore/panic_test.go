package mailstore

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/service"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// TestAPanicLeavesNoLock: a delivery that panics under the mailbox's lock, and
// is fenced by its owner, does not keep the next from the mailbox.
func TestAPanicLeavesNoLock(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	disk := faultfs.Wrap(vfs.OS{})
	o.FS = disk
	s, err := Open(t.Context(), o)
	check(t, err)
	deliver(t, s, Delivery{Content: message("first")})
	disk.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.Link && strings.Contains(filepath.Dir(name), "alice") {
			disk.Hook(nil)
			panic("the disk is on fire")
		}
		return nil
	})
	err = service.Fenced(o.Log, func() error {
		return s.Deliver(t.Context(), alice(), &Delivery{Content: message("panics")})
	})
	if err == nil {
		t.Fatal("no panic")
	}
	done := make(chan error, 1)
	go func() { done <- s.Deliver(t.Context(), alice(), &Delivery{Content: message("second")}) }()
	select {
	case err := <-done:
		check(t, err)
		check(t, s.Close())
	case <-time.After(20 * time.Second):
		t.Fatal("the mailbox stays locked")
	}
}
