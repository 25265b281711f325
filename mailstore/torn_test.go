package mailstore

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"toastmaster/internal/testkit/faultfs"
)

// namesOnly is the disk after a power cut, some seconds after the kernel has
// written the names in new and cur but not what is in the files.
func namesOnly(t *testing.T, disk *faultfs.Disk) *faultfs.Disk {
	t.Helper()
	disk = disk.Clone()
	for _, sub := range []string{"", "new", "cur"} {
		check(t, disk.SyncDir(filepath.Join("/mail", alice().Home, sub)))
	}
	return disk.Crash()
}

// TestAnUnansweredAppendLeavesNoMessage: the power fails before the journal is
// on the disk. What has only its name is no message: it is not shown, it is
// said in the log, and it is not removed.
func TestAnUnansweredAppendLeavesNoMessage(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	f := faultfs.Wrap(disk)
	o := newStory(f).options()
	s, err := Open(t.Context(), o)
	check(t, err)
	u := openUser(t, s)
	_, _, err = u.Append(t.Context(), "INBOX", nil, s.vol.Clock.Now(), message("before"))
	check(t, err)
	check(t, s.Checkpoint(t.Context()))
	var cut *faultfs.Disk
	var once sync.Once
	f.Hook(func(op faultfs.Op, name string) error {
		if op != faultfs.Sync || !strings.Contains(name, "journal-") {
			return nil
		}
		if entries, _ := disk.ReadDir(filepath.Join("/mail", alice().Home, "new")); len(entries) < 2 {
			return nil // of what came before
		}
		once.Do(func() { cut = namesOnly(t, disk) })
		return faultfs.EIO
	})
	if _, _, err = u.Append(t.Context(), "INBOX", nil, s.vol.Clock.Now(), message("never answered")); err == nil {
		t.Fatal("answered")
	}
	f.Hook(nil)
	check(t, u.Close())
	_ = s.Close() // a sync has failed
	for range 2 {
		var log strings.Builder
		o = newStory(cut).options()
		logTo(&log, &o)
		s, err = Open(t.Context(), o)
		check(t, err)
		if got := subjectsOf(t, s, "INBOX"); len(got) != 1 || got["before"] != 1 {
			t.Errorf("%v", got)
		}
		if n := strings.Count(log.String(), "was never stored"); n != 1 {
			t.Errorf("%d lines: %s", n, log.String())
		}
		check(t, s.Close())
	}
	entries, err := cut.ReadDir(filepath.Join("/mail", alice().Home, "new"))
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestNamesWithoutContent: what was answered, and what the queue delivers again,
// gets its content back.
func TestNamesWithoutContent(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	s := storeOn(t, disk)
	u := openUser(t, s)
	_, _, err := u.Append(t.Context(), "INBOX", nil, s.vol.Clock.Now(), message("answered"))
	check(t, err)
	queued := &Delivery{ID: "q1", Content: message("queued"), Date: s.vol.Clock.Now()}
	check(t, s.Deliver(t.Context(), alice(), queued))
	cut := namesOnly(t, disk)
	check(t, errors.Join(u.Close(), s.Close()))
	s = storeOn(t, cut)
	queued.Replay = true
	check(t, s.Deliver(t.Context(), alice(), queued))
	if got := subjectsOf(t, s, "INBOX"); len(got) != 2 || got["answered"] != 1 || got["queued"] != 1 {
		t.Errorf("%v", got)
	}
	check(t, s.Close())
}
