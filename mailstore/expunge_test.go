package mailstore

import (
	"os"
	"testing"
	"time"

	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// TestAFailedUnlinkIsDoneLater: the file of an expunged message that the disk did
// not remove is no new message, however much later the folder is looked at.
func TestAFailedUnlinkIsDoneLater(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	now := clocktest.New(time.Now())
	faults := faultfs.Wrap(vfs.OS{})
	s := storeWith(t, root, func(o *Options) { o.FS, o.Clock = faults, now })
	for range 2 {
		deliver(t, s, Delivery{})
	}
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	removals := 0
	faults.Hook(func(op faultfs.Op, _ string) error {
		if op == faultfs.Remove {
			if removals++; removals == 2 {
				return faultfs.EIO
			}
		}
		return nil
	})
	if err := v.Expunge(t.Context(), []uint32{1, 2}); err == nil {
		t.Error("no error")
	}
	faults.Hook(nil)
	now.Advance(time.Minute)
	if st, err := u.Status(t.Context(), "INBOX"); err != nil || st.Messages != 0 {
		t.Errorf("%d messages came back, %v", st.Messages, err)
	}
	if files, err := os.ReadDir(home(root, "new")); err != nil || len(files) != 0 {
		t.Errorf("%d files, %v", len(files), err)
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}
