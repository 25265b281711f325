package queue

import (
	"testing"
	"time"

	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
)

// TestHas: a message is found wherever it is, and none where there is none.
func TestHas(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"queued", "active", "deferred", "hold", "active from its file"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			o := options(faultfs.NewDisk())
			clk := clocktest.New(time.Unix(1_700_000_000, 0))
			o.Clock = clk
			q := open(t, o)
			defer closeQueue(t, q)
			if has, err := q.Has(wherever(t, q, clk, where)); err != nil || !has {
				t.Errorf("%v %v", has, err)
			}
			if has, err := q.Has(q.NewID()); err != nil || has {
				t.Errorf("a new ID: %v %v", has, err)
			}
		})
	}
}
