package box_test

import (
	"testing"

	"toastmaster/mailstore/box"
)

// TestSessionsShareOneVector: as long as a session has seen everything.
func TestSessionsShareOneVector(t *testing.T) {
	t.Parallel()
	s, u := open(t, options(t.TempDir()))
	for range 5 {
		deliver(t, s, "x")
	}
	a, b := inbox(t, u), inbox(t, u)
	check(t, a.Expunge(t.Context(), []uint32{2, 3}))
	if box.SharesVector(b) {
		t.Error("a view lost messages before its session asked")
	}
	for _, v := range []*box.View{a, b} {
		_, err := v.Update(t.Context(), true)
		check(t, err)
		if v.Len() != 3 || !box.SharesVector(v) {
			t.Error("a view that has seen everything does not share the mailbox's vector")
		}
	}
}
