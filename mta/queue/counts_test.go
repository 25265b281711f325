package queue

import (
	"context"
	"testing"
	"time"

	"toastmaster/internal/testkit/faultfs"
)

// TestCountsAreThoseOfTheList in every place, also those that a process before
// this one left.
func TestCountsAreThoseOfTheList(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	o := options(faultfs.NewDisk())
	q := open(t, o)
	later := time.Now().Add(time.Hour)
	for i := range 6 {
		e := add(t, q, "text\n", "a")
		if i < 4 {
			closeItem(t, take(t, q), later)
		}
		if i%3 == 0 {
			must(t, q.Hold(ctx, e.ID))
		}
	}
	add(t, q, large, "b")
	wantList := func(q *Queue, want string) {
		t.Helper()
		if got := list(t, q, Filter{}); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	wantList(q, "hold deferred deferred hold incoming incoming incoming")
	it := take(t, q)
	wantList(q, "hold deferred deferred hold active incoming incoming")
	closeItem(t, it, later)
	closeQueue(t, q)
	q = open(t, o)
	wantList(q, "hold deferred deferred hold deferred incoming incoming")
	_, err := q.Flush(ctx, Filter{})
	must(t, err)
	for range 5 {
		done(t, take(t, q), EffectFinal)
	}
	wantList(q, "hold hold")
	must(t, q.disk.ledger.j.Checkpoint(ctx))
	wantList(q, "hold hold")
	closeQueue(t, q)
	q = open(t, o)
	wantList(q, "hold hold")
	for _, info := range func() []Info { all, _ := q.List(ctx, Filter{}, "", 10); return all }() {
		must(t, q.Delete(ctx, info.ID))
	}
	wantList(q, "")
	closeQueue(t, q)
}
