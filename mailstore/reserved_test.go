package mailstore

import (
	"testing"
	"time"

	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
)

// TestNumbersAfterACloseAreKept: what a client was told of UIDNEXT and HIGHESTMODSEQ in the
// second life of a mailbox holds after a power loss, as it does in the first.
func TestNumbersAfterACloseAreKept(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	st := newStory(disk)
	clk := clocktest.New(time.Unix(1e9, 0))
	open := func() (*Store, error) {
		clk.Advance(time.Minute) // what was made anew has another UIDVALIDITY
		o := st.options()
		o.Clock = clk
		return Open(t.Context(), o)
	}
	told := Status{}
	for range 3 {
		s, err := open()
		check(t, err)
		check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message("x")}))
		u := openUser(t, s)
		told, err = u.Status(t.Context(), "INBOX")
		check(t, err)
		lost := disk.Crash()
		check(t, u.Close())
		check(t, s.Close())

		st.fs = lost
		after, err := open()
		check(t, err)
		u = openUser(t, after)
		got, err := u.Status(t.Context(), "INBOX")
		check(t, err)
		if got.UIDValidity == told.UIDValidity && (got.UIDNext < told.UIDNext || got.HighestModSeq < told.HighestModSeq) {
			t.Errorf("UIDNEXT %d HIGHESTMODSEQ %d, and %d %d were told", got.UIDNext, got.HighestModSeq, told.UIDNext, told.HighestModSeq)
		}
		check(t, u.Close())
		check(t, after.Close())
		st.fs = disk
	}
}
