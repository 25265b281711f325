package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
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
	d := faultfs.NewDisk()
	for life := range 30 {
		o := options(d)
		o.MaxSegments = 64
		j, r := open(t, o, nil)
		eventually(t, func() bool { return hasSpare(j) })
		for _, pos := range r.pos {
			j.Release(pos)
		}
		mustAppend(t, j, fmt.Sprint("life ", life))
		eventually(t, func() bool { return hasSpare(j) })
		if err := j.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool {
			j.mu.Lock()
			defer j.mu.Unlock()
			return j.spare != nil && !j.retail
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
}

// TestUnusedSpareIsNotKept: a process that wrote nothing adds nothing.
func TestUnusedSpareIsNotKept(t *testing.T) {
	t.Parallel()
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
}

// TestCloseWaitsForASegment: the last marks need one, and the disk is slower
// than FullWait.
func TestCloseWaitsForASegment(t *testing.T) {
	t.Parallel()
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
}

// TestCloseDoesNotWaitForEver: its context bounds it.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
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
}

// TestSpaceAgainIsSeenAtOnce: the failure of an earlier need is not told to
// the first append that comes when there is room again.
func TestSpaceAgainIsSeenAtOnce(t *testing.T) {
	t.Parallel()
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
}

// TestFailedSyncAtOpenIsMended: what was read and acted upon must not vanish
// because the kernel gave up writing it.
func TestFailedSyncAtOpenIsMended(t *testing.T) {
	t.Parallel()
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
}

// TestDamageIsKept: the octets of a damaged range are in Options.Corrupt.
func TestDamageIsKept(t *testing.T) {
	t.Parallel()
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
}
