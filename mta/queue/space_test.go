package queue

import (
	"math"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// measured is a disk that says how much is free, whatever lies on it. The free
// space of a faultfs.Disk changes by itself: an open journal makes a segment
// ready in the background, at any moment.
type measured struct {
	vfs.FS
	free atomic.Int64
}

func (m *measured) Free(string) (int64, error) { return m.free.Load(), nil }

func TestRoom(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	disk := &measured{FS: faultfs.NewDisk()}
	faults := faultfs.Wrap(disk)
	now := clocktest.New(time.Unix(1e9, 0))
	o := options(faults)
	o.Clock, o.Config.MinFree = now, 10*mib
	disk.free.Store(math.MaxInt64)
	q := open(t, o)
	defer closeQueue(t, q)
	expect := func(what string, size int64, want bool) {
		t.Helper()
		err := q.Room(size)
		if (err == nil) != want || err != nil && dsn.From(err).Status != dsn.SystemFull {
			t.Errorf("%s: %v", what, err)
		}
	}
	expect("a disk without limit", 1<<40, true)
	disk.free.Store(12 * mib)
	expect("measured just now", 0, true)
	now.Advance(time.Second)
	expect("more than min_free is left", 0, true)
	expect("and after this message, too", 2*mib, true)
	expect("but not after a larger one", 2*mib+1, false)
	disk.free.Store(10*mib - 1)
	now.Advance(time.Second - 1)
	before := faults.Count(faultfs.Free)
	for range 1000 {
		expect("not measured again within a second", 0, true)
	}
	if n := faults.Count(faultfs.Free) - before; n != 0 {
		t.Errorf("measured %d times", n)
	}
	now.Advance(1)
	expect("less than min_free is left", 0, false)
	disk.free.Store(math.MaxInt64)
	now.Advance(time.Second)
	expect("space is back", 0, true)

	disk.free.Store(0)
	faults.FailNth(faultfs.Free, faults.Count(faultfs.Free)+1, faultfs.EIO)
	now.Advance(time.Second)
	expect("it cannot be measured", 0, true)
	now.Advance(time.Second)
	expect("it can again", 0, false)
	q.space.MinFree = 0
	expect("switched off", 1<<40, true)
}
