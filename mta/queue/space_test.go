package queue

import (
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
)

func TestRoom(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	disk := faultfs.NewDisk()
	faults := faultfs.Wrap(disk)
	now := clocktest.New(time.Unix(1e9, 0))
	o := options(faults)
	o.Clock, o.Config.MinFree = now, 10*mib
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
	disk.Limit(disk.Used() + 12*mib)
	expect("measured just now", 0, true)
	now.Advance(time.Second)
	expect("more than min_free is left", 0, true)
	expect("and after this message, too", 2*mib, true)
	expect("but not after a larger one", 2*mib+1, false)
	disk.Limit(disk.Used() + 10*mib - 1)
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
	disk.Limit(0)
	now.Advance(time.Second)
	expect("space is back", 0, true)

	disk.Limit(disk.Used())
	faults.FailNth(faultfs.Free, faults.Count(faultfs.Free)+1, faultfs.EIO)
	now.Advance(time.Second)
	expect("it cannot be measured", 0, true)
	now.Advance(time.Second)
	expect("it can again", 0, false)
	q.cfg.MinFree = 0
	expect("switched off", 1<<40, true)
}
