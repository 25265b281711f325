package queue

import (
	"context"
	"testing"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
)

// TestAClockThatWasAhead: a message that was deferred while the clock was a year
// ahead waits as long as a message waits at most from now on, and not a year;
// that is kept over scans and starts. So is one that is known in memory.
func TestAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	const most = 4000 * time.Second
	today := time.Unix(1_700_000_000, 0)
	disk := faultfs.NewDisk()
	openAt := func(now time.Time) (*Queue, *clocktest.Clock) {
		o := options(disk)
		c := clocktest.New(now)
		o.Clock, o.MaximalBackoff = c, most
		return open(t, o), c
	}
	due := func(q *Queue, want time.Time, what string) {
		t.Helper()
		must(t, q.scan(context.Background()))
		q.index.mu.Lock()
		q.index.due.horizon = want.Add(time.Second)
		q.index.mu.Unlock()
		all, err := q.List(context.Background(), Filter{}, "", 10)
		must(t, err)
		if len(all) != 1 || !all[0].Next.Equal(want) {
			t.Errorf("%s: %+v, want %v", what, all, want)
		}
	}
	q, _ := openAt(today.AddDate(1, 0, 0))
	id := add(t, q, "text\n", "a").ID
	it := take(t, q)
	must(t, it.Close(t.Context(), q.o.Clock.Now().Add(most), false))
	closeQueue(t, q)

	q, now := openAt(today)
	due(q, today.Add(most), "the first scan")
	now.Advance(most / 2)
	due(q, today.Add(most), "a later one")
	closeQueue(t, q)

	q, now = openAt(today.Add(most - 1))
	must(t, q.scan(context.Background()))
	nothing(t, q)
	now.Advance(time.Second)
	if it := take(t, q); it.Envelope.ID != id {
		t.Errorf("%s", it.Envelope.ID)
	} else {
		must(t, it.Close(t.Context(), now.Now().Add(most), false))
	}

	// While it runs, the clock goes back by a year.
	now.Advance(-365 * 24 * time.Hour)
	must(t, q.scan(context.Background()))
	q.index.mu.Lock()
	if at, ok := q.index.due.top(); ok && at.After(now.Now().Add(most)) {
		t.Errorf("due at %v, it is %v", at, now.Now())
	}
	q.index.mu.Unlock()
	now.Advance(most + time.Second)
	must(t, q.scan(context.Background()))
	if it := take(t, q); it.Envelope.ID != id {
		t.Errorf("%s", it.Envelope.ID)
	} else {
		must(t, it.Close(t.Context(), now.Now().Add(most), false))
	}
	closeQueue(t, q)
}

// setLate is a clock that is set while somebody is about to wait for four minutes.
type setLate struct{ *clocktest.Clock }

func (c setLate) NewTimer(d time.Duration) clock.Timer {
	if d == 4*time.Minute {
		c.Advance(d)
	}
	return c.Clock.NewTimer(d)
}

// TestAClockThatIsSetMeanwhile: what became due before the timer was set is not
// late by the whole wait.
func TestAClockThatIsSetMeanwhile(t *testing.T) {
	t.Parallel()
	clk := setLate{clocktest.New(time.Unix(1_700_000_000, 0))}
	o := options(faultfs.NewDisk())
	o.Clock = clk
	q := open(t, o)
	defer closeQueue(t, q)
	add(t, q, "text\n", "a")
	closeItem(t, take(t, q), clk.Now().Add(4*time.Minute))
	select {
	case <-q.index.wake: // of the deferral
	default:
	}
	done(t, take(t, q), EffectFinal)
}

// TestALateScan is asked for when nobody knows any more what is due.
func TestALateScan(t *testing.T) {
	t.Parallel()
	clk := clocktest.New(time.Unix(1_700_000_000, 0))
	o := options(faultfs.NewDisk())
	o.Clock = clk
	q := open(t, o)
	defer closeQueue(t, q)
	add(t, q, "text\n", "a")
	closeItem(t, take(t, q), clk.Now().Add(time.Hour)) // no scan before is to know it
	nothing(t, q)
	if len(q.index.rescan) != 0 {
		t.Error("a scan was asked for before it is late")
	}
	clk.Advance(time.Hour)
	nothing(t, q)
	if len(q.index.rescan) != 1 {
		t.Error("no scan was asked for")
	}
	must(t, q.scan(t.Context()))
	done(t, take(t, q), EffectFinal)
}
