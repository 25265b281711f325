package mailstore

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/volume"
)

// TestTimesFromAClockThatWasAhead: a directory that was changed next year is not
// read again and again until then, and a lock of next year is no lock.
func TestTimesFromAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	now := clocktest.New(time.Now())
	faults := faultfs.Wrap(vfs.OS{})
	s := storeWith(t, root, func(o *Options) { o.FS, o.Clock, o.Store.UIDListDelay = faults, now, 0 })
	deliver(t, s, Delivery{})
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	ahead := time.Now().AddDate(1, 0, 0)
	for _, dir := range []string{"new", "cur"} {
		check(t, os.Chtimes(home(root, dir), ahead, ahead))
	}
	mb := mailboxOf(t, u, "INBOX")
	check(t, mb.Refresh(t.Context()))
	var reads atomic.Int32
	faults.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.ReadDir && strings.Contains(name, "alice") {
			reads.Add(1)
		}
		return nil
	})
	for range 5 {
		now.Advance(2 * volume.Tick) // what is young is read again after that
		check(t, mb.Refresh(t.Context()))
	}
	if n := reads.Load(); n != 0 {
		t.Errorf("read %d times", n)
	}
	// A change of now is seen.
	check(t, os.WriteFile(home(root, "new", "1.M1.other"), message("other"), 0o600))
	check(t, mb.Refresh(t.Context()))
	if n := reads.Load(); n == 0 {
		t.Error("a change was not seen")
	}
	faults.Hook(nil)

	lock := home(root, uidListFile+".lock")
	check(t, os.WriteFile(lock, nil, 0o600))
	check(t, os.Chtimes(lock, ahead, ahead))
	deliver(t, s, Delivery{}) // something to be written
	check(t, mb.Tidy(t.Context(), 0))
	if _, err := os.Stat(lock); !os.IsNotExist(err) {
		t.Errorf("the lock of next year still holds: %v", err)
	}
	mb.Put()
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}
