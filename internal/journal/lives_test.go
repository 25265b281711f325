package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/testkit/faultfs"
)

func hasSpare(j *Journal) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.spare != nil
}

func segmentFiles(t *testing.T, d *faultfs.Disk) []string {
	t.Helper()
	entries, err := d.ReadDir(testDir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if _, ok := slotOf(e.Name()); ok {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}

// TestShortLivesDoNotAddUp: processes that are killed before they fill a
// segment leave no more segments than one long life.
func TestShortLivesDoNotAddUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		for life := range 30 {
			o := options(d)
			o.MaxSegments = 64
			j, r := open(t, o, nil)
			eventually(t, func() bool { return hasSpare(j) })
			for _, pos := range r.pos {
				j.Unpin(pos)
			}
			mustAppend(t, j, fmt.Sprint("life ", life))
			eventually(t, func() bool { return hasSpare(j) })
			if err := j.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool {
				j.mu.Lock()
				defer j.mu.Unlock()
				return j.spare != nil && !j.stale
			})
			killed := d.Clone()
			closeJournal(t, j)
			d = killed
		}
		if names := segmentFiles(t, d); len(names) > 4 {
			t.Errorf("%d segments: %v", len(names), names)
		}
		j, r := open(t, options(d), nil)
		defer closeJournal(t, j)
		if len(r.payloads) != 1 {
			t.Errorf("replayed %q", r.payloads)
		}
	})
}

// TestUnusedSpareIsNotKept: a process that wrote nothing adds nothing.
func TestUnusedSpareIsNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		for range 10 {
			j, _ := open(t, options(d), nil)
			eventually(t, func() bool { return hasSpare(j) })
			killed := d.Clone()
			closeJournal(t, j)
			d = killed
		}
		if names := segmentFiles(t, d); len(names) != 1 {
			t.Errorf("%v", names)
		}
	})
}

// TestCloseWaitsForASegment: the last marks need one, and the disk is slower
// than FullWait.
func TestCloseWaitsForASegment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		f := faultfs.Wrap(d)
		slow := make(chan struct{})
		f.Hook(func(op faultfs.Op, _ string) error {
			if op == faultfs.Create {
				<-slow
			}
			return nil
		})
		// The lock and the first segment are created: let the lock through.
		go func() { slow <- struct{}{} }()
		o := options(f)
		o.FullWait = time.Millisecond
		j, _ := open(t, o, nil)
		if _, err := j.Append(context.Background(), []byte("refused")); dsn.From(err).Status != dsn.MailSystem {
			t.Errorf("while there is no segment: %v", err)
		}
		if err := j.AppendLazy([]byte("mark")); err != nil {
			t.Fatal(err)
		}
		closed := make(chan error)
		go func() { closed <- j.Close(context.Background()) }()
		<-j.stop
		time.Sleep(20 * o.FullWait)
		close(slow)
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		j, r := open(t, options(d), nil)
		defer closeJournal(t, j)
		if fmt.Sprint(r.payloads) != "[mark]" {
			t.Errorf("%q", r.payloads)
		}
	})
}

// TestCloseDoesNotWaitForEver: its context bounds it.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := faultfs.Wrap(faultfs.NewDisk())
		j, _ := open(t, options(f), nil)
		eventually(t, func() bool { return hasSpare(j) })
		mustAppend(t, j, "first")
		f.FailFrom(faultfs.Any, 1, faultfs.EIO)
		if err := j.AppendLazy([]byte("mark")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := j.Close(ctx); err == nil {
			t.Error("the last mark was lost and nobody said so")
		}
	})
}

// TestSpaceAgainIsSeenAtOnce: the failure of an earlier need is not told to
// the first append that comes when there is room again.
func TestSpaceAgainIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		d.Limit(1000)
		j, _ := open(t, options(d), nil)
		defer closeJournal(t, j)
		eventually(t, func() bool {
			j.mu.Lock()
			defer j.mu.Unlock()
			return j.spareErr != nil
		})
		d.Limit(0)
		time.Sleep(failurePause) // the disk is asked that often
		mustAppend(t, j, "room")
	})
}

// TestFailedSyncAtOpenIsMended: what was read and acted upon must not vanish
// because the kernel gave up writing it.
func TestFailedSyncAtOpenIsMended(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		f := faultfs.Wrap(d)
		j, _ := open(t, options(f), nil)
		mustAppend(t, j, "first")
		eventually(t, func() bool { return hasSpare(j) })
		f.FailFrom(faultfs.Sync, f.Count(faultfs.Sync)+1, faultfs.EIO)
		if _, err := j.Append(context.Background(), []byte("second")); !errors.Is(err, faultfs.EIO) {
			t.Fatal(err)
		}
		killed := d.Clone()
		_ = j.Close(context.Background())
		f = faultfs.Wrap(killed)
		f.FailNth(faultfs.Sync, 1, faultfs.EIO)
		j, r := open(t, options(f), nil)
		if fmt.Sprint(r.payloads) != "[first second]" {
			t.Fatalf("%q", r.payloads)
		}
		crashed := killed.Crash()
		closeJournal(t, j)
		j, again := open(t, options(crashed), nil)
		defer closeJournal(t, j)
		if fmt.Sprint(again.payloads) != "[first second]" {
			t.Errorf("acted upon %q, after a power loss there is %q", r.payloads, again.payloads)
		}
	})
}

// TestDamageIsKept: the octets of a damaged range are in Options.Corrupt.
func TestDamageIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		j, _ := open(t, options(d), nil)
		mustAppend(t, j, "first")
		bad := mustAppend(t, j, "the damaged one")
		mustAppend(t, j, "third")
		closeJournal(t, j)
		patch(t, d, slotName(testDir, 0), int64(bad.Offset)+recordHeader, []byte("?"))
		o := options(d)
		o.Corrupt = "/corrupt"
		if err := d.Mkdir(o.Corrupt, 0o700); err != nil {
			t.Fatal(err)
		}
		j, r := open(t, o, nil)
		defer closeJournal(t, j)
		if fmt.Sprint(r.payloads) != "[first third]" {
			t.Errorf("%q", r.payloads)
		}
		f, err := d.OpenFile(fmt.Sprintf("/corrupt/segment-%d-%d", bad.Segment, bad.Offset), os.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b := make([]byte, 1000)
		n, _ := f.ReadAt(b, recordHeader)
		if got := string(b[:min(n, 15)]); got != "?he damaged one" {
			t.Errorf("kept %q", got)
		}
	})
}

// TestUnfinishedStaysUnfinished: the torn end of a write that a kill left, of
// which nobody was told, is no damage at the first start nor at any later one;
// the same octets lost in a segment that was left in order are.
func TestUnfinishedStaysUnfinished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		j, _ := open(t, options(d), nil)
		mustAppend(t, j, "first")
		last := mustAppend(t, j, "torn or damaged")
		killed := d.Clone()
		eventually(t, func() bool { return hasSpare(j) })
		next := "x" + strings.Repeat("y", 40<<10)
		for j.Usage().Segments < 2 {
			mustAppend(t, j, next)
		}
		eventually(t, func() bool {
			j.mu.Lock()
			defer j.mu.Unlock()
			return len(j.left) == 0
		})
		left := d.Clone()
		closeJournal(t, j)
		damages := 0
		reopen := func(d *faultfs.Disk) *recovered {
			t.Helper()
			o := options(d)
			o.Damaged = func(Damage) { damages++ }
			j, r := open(t, o, nil)
			mustAppend(t, j, "after")
			eventually(t, func() bool {
				j.mu.Lock()
				defer j.mu.Unlock()
				return len(j.left) == 0
			})
			closeJournal(t, j)
			return r
		}
		patch(t, killed, slotName(testDir, 0), int64(last.Offset)+recordHeader, []byte("?"))
		for range 3 {
			reopen(killed)
		}
		if damages != 0 {
			t.Errorf("an unfinished write is called damage, %d times", damages)
		}
		patch(t, left, slotName(testDir, 0), int64(last.Offset)+recordHeader, []byte("?"))
		if r := reopen(left); damages == 0 {
			t.Errorf("damage in a segment that was left is not seen: %d records", len(r.payloads))
		}
	})
}

// TestACutSegmentKeepsItsRecords: a file that lost its end has lost no more.
func TestACutSegmentKeepsItsRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, cut := range []int64{block, 32 << 10, 64<<10 - 3*block + 5} {
			d := faultfs.NewDisk()
			j, _ := open(t, options(d), nil)
			for i := range 3 {
				mustAppend(t, j, fmt.Sprint("record ", i))
			}
			killed := d.Clone()
			closeJournal(t, j)
			f, err := killed.OpenFile(slotName(testDir, 0), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(f.Truncate(64<<10-cut), f.Close()); err != nil {
				t.Fatal(err)
			}
			o := options(killed)
			damages := 0
			o.Damaged = func(Damage) { damages++ }
			j, r := open(t, o, nil)
			if len(r.payloads) != 3 || damages != 1 {
				t.Errorf("%d octets less: %q, %d damages", cut, r.payloads, damages)
			}
			for _, pos := range r.pos {
				if b, err := j.Load(pos); err != nil || !strings.HasPrefix(string(b), "record") {
					t.Errorf("Load: %q %v", b, err)
				}
				j.Unpin(pos)
			}
			// It is not used again.
			for range 2 {
				mustAppend(t, j, strings.Repeat("x", 40<<10))
				if err := j.Checkpoint(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			closeJournal(t, j)
			j, r = open(t, options(killed), nil)
			if len(r.payloads) != 2 {
				t.Errorf("later: %d records", len(r.payloads))
			}
			closeJournal(t, j)
		}
	})
}

// TestNothingIsUsedAgainBeforeRecovered: the owner may not yet have acted upon
// marks in a segment that has no live record.
func TestNothingIsUsedAgainBeforeRecovered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		j, _ := open(t, options(d), nil)
		for range 3 {
			mustAppend(t, j, strings.Repeat("x", 40<<10))
		}
		killed := d.Clone()
		closeJournal(t, j)
		o := options(killed)
		o.Replay = func(Position, []byte) (bool, error) { return false, nil }
		j, err := Open(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer closeJournal(t, j)
		before := j.Usage().Oldest
		if err := j.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		if now := j.Usage().Oldest; now != before {
			t.Errorf("segment %d is free", before)
		}
		j.Recovered()
		if err := j.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		if now := j.Usage().Oldest; now == before {
			t.Error("it is kept for ever")
		}
	})
}

// TestSpareThatCannotBeRenewed: it is not handed out with its file closed.
func TestSpareThatCannotBeRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := faultfs.Wrap(faultfs.NewDisk())
		j, _ := open(t, options(f), nil)
		defer closeJournal(t, j)
		var old []Position
		for j.Usage().Segments < 2 {
			old = append(old, mustAppend(t, j, strings.Repeat("x", 40<<10)))
		}
		eventually(t, func() bool {
			j.mu.Lock()
			defer j.mu.Unlock()
			return j.spare != nil && len(j.left) == 0
		})
		j.mu.Lock()
		spare := j.spare.name
		j.mu.Unlock()
		f.Hook(func(op faultfs.Op, name string) error {
			if op == faultfs.Write && name == spare {
				return faultfs.EIO
			}
			return nil
		})
		for _, pos := range old {
			j.Unpin(pos)
		}
		if err := j.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool {
			j.mu.Lock()
			defer j.mu.Unlock()
			return j.spare == nil || j.spare.name != spare
		})
		f.Hook(nil)
		mustAppend(t, j, strings.Repeat("y", 40<<10))
		mustAppend(t, j, strings.Repeat("z", 40<<10))
	})
}
