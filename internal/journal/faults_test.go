package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// outcome is what a workload was told.
type outcome struct {
	// must survive: acknowledged and not released.
	must map[string]bool
	// marked records have a durable mark that they are done: they may be
	// found, but not without the mark.
	marked map[string]bool
}

func doneMark(text string) string { return "done " + text[:3] }

// workload appends, releases and checkpoints through several uses of each
// segment. Open may fail; then nothing is promised.
func workload(fsys vfs.FS) (r outcome) {
	o := options(fsys)
	o.SegmentSize = 32 << 10
	r = outcome{map[string]bool{}, map[string]bool{}}
	o.Replay = func(Position, []byte) (bool, error) { return true, nil }
	j, err := Open(context.Background(), o)
	if err != nil {
		return r
	}
	j.Recovered()
	defer j.Close(context.Background())
	var live []Position
	for i := range 40 {
		text := fmt.Sprintf("%03d%s", i, strings.Repeat("x", 100+i*97%4000))
		if i%3 == 0 {
			_ = j.AppendLazy([]byte("lazy"))
		}
		pos, err := j.Append(context.Background(), []byte(text[:3]), []byte(text[3:]))
		if err != nil {
			continue
		}
		r.must[text] = true
		live = append(live, pos)
		if len(live) > 8 {
			r.finish(j, live[:4])
			live = live[4:]
			_ = j.Checkpoint(context.Background())
		}
	}
	return r
}

func (r outcome) finish(j *Journal, live []Position) {
	var texts []string
	for _, pos := range live {
		b, err := j.Load(pos)
		if err != nil || j.AppendLazy([]byte(doneMark(string(b)))) != nil {
			continue
		}
		texts = append(texts, string(b))
		delete(r.must, string(b))
		j.Unpin(pos)
	}
	if j.Flush(context.Background()) == nil {
		for _, text := range texts {
			r.marked[text] = true
		}
	}
}

// checkSurvivors opens the journal on a disk and looks for the records.
func checkSurvivors(t *testing.T, fsys vfs.FS, told outcome, when string) {
	t.Helper()
	o := options(fsys)
	o.SegmentSize = 32 << 10
	j, r := open(t, o, nil)
	defer closeJournal(t, j)
	seen := map[string]bool{}
	for i, p := range r.payloads {
		if p != "lazy" && !strings.HasPrefix(p, "done ") && (seen[p] || len(p) < 100) {
			t.Errorf("%s: record %.3s came twice or is not ours", when, p)
		}
		seen[p] = true
		if b, err := j.Load(r.pos[i]); err != nil || string(b) != p {
			t.Errorf("%s: Load: %v", when, err)
		}
	}
	for p := range told.must {
		if !seen[p] {
			t.Errorf("%s: record %.3s is lost", when, p)
		}
	}
	for p := range told.marked {
		if seen[p] && !seen[doneMark(p)] {
			t.Errorf("%s: record %.3s came back without its mark", when, p)
		}
	}
}

func TestEachOperationFailsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, cause := range []error{faultfs.EIO, faultfs.ENOSPC} {
			n := 1
			for ; ; n++ {
				d := faultfs.NewDisk()
				f := faultfs.Wrap(d)
				f.FailNth(faultfs.Any, n, cause)
				told := workload(f)
				if f.Count(faultfs.Any) < n {
					break
				}
				checkSurvivors(t, d.Clone(), told, fmt.Sprintf("%v at %d, restart", cause, n))
				checkSurvivors(t, d.Crash(), told, fmt.Sprintf("%v at %d, power loss", cause, n))
			}
			if n < 100 {
				t.Errorf("only %d operations", n)
			}
		}
	})
}

func TestPowerLossAtEachPoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for n := 1; ; n++ {
			d := faultfs.NewDisk()
			f := faultfs.Wrap(d)
			f.FailFrom(faultfs.Any, n, faultfs.EIO)
			told := workload(f)
			checkSurvivors(t, d.Crash(), told, fmt.Sprintf("at %d", n))
			for seed := range uint64(3) {
				checkSurvivors(t, d.CrashRandom(rand.New(rand.NewPCG(uint64(n), seed))), told, fmt.Sprintf("at %d, luck %d", n, seed))
			}
			if f.Count(faultfs.Any) < n {
				break
			}
		}
	})
}

func TestFailedSyncIsNotBelieved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		f := faultfs.Wrap(d)
		o := options(f)
		o.LazyInterval = time.Hour // the lazy record meets the fault together with the second
		j, _ := open(t, o, nil)
		defer closeJournal(t, j)
		first := mustAppend(t, j, "first")
		eventually(t, func() bool { return hasSpare(j) })
		f.FailNth(faultfs.Sync, f.Count(faultfs.Sync)+1, faultfs.EIO)
		if err := j.AppendLazy([]byte("lazy")); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(context.Background(), []byte("second")); !errors.Is(err, faultfs.EIO) || dsn.From(err).Status != dsn.MailSystem {
			t.Fatalf("append: %v", err)
		}
		third := mustAppend(t, j, "third")
		if third.Segment == first.Segment {
			t.Error("went on in the segment whose sync failed")
		}
		k, r := open(t, options(d.Crash()), nil)
		closeJournal(t, k)
		if got := fmt.Sprint(r.payloads); got != "[first lazy third]" {
			t.Errorf("recovered %s", got)
		}
	})
}

func TestDiskFullAndSpaceAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		d.Limit(150 << 10)
		j, _ := open(t, options(d), nil)
		defer closeJournal(t, j)
		payload := []byte(strings.Repeat("p", 5000))
		n := 0
		var err error
		for ; n < 100; n++ {
			if _, err = j.Append(context.Background(), payload); err != nil {
				break
			}
		}
		if dsn.From(err).Status != dsn.SystemFull || n < 20 {
			t.Fatalf("after %d records: %v", n, err)
		}
		// Marks have room when mail has not.
		for range 20 {
			if err := j.AppendLazy([]byte("this mail is done, whatever the disk says")); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Flush(context.Background()); err != nil {
			t.Errorf("marks: %v", err)
		}
		if entries, _ := d.ReadDir(testDir); len(entries) != 3 { // lock and two segments
			t.Errorf("%v", entries)
		}
		d.Limit(0)
		eventually(t, func() bool { _, err := j.Append(context.Background(), payload); return err == nil })
	})
}

// patch changes octets of the newest segment with records.
func patch(t *testing.T, d *faultfs.Disk, name string, off int64, b []byte) {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

func TestDamageIsReportedAndSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		j, _ := open(t, options(d), nil)
		var at []Position
		for i := range 5 {
			at = append(at, mustAppend(t, j, fmt.Sprintf("record %d %s", i, strings.Repeat("x", 1000))))
		}
		closeJournal(t, j)
		name := slotName(testDir, 0)
		for _, c := range []struct {
			what    string
			off     int64
			b       string
			lost    string
			damages int
		}{
			{"nothing", 100, "", "", 0},
			{"payload", int64(at[1].Offset) + 200, "?", "1", 1},
			{"header", int64(at[1].Offset) + 9, "?????", "1", 1},
			{"two of them", int64(at[1].Offset) + 900, strings.Repeat("?", 500), "12", 1},
			{"the last", int64(at[4].Offset) + 30, "?", "4", 1},
			{"the header of the last", int64(at[4].Offset) + 9, "?????", "4", 1},
			{"first copy of the segment header", 9, "?", "", 0},
			{"second copy", 64<<10 - block, strings.Repeat("?", block), "", 0},
		} {
			crashed := d.Clone()
			patch(t, crashed, name, c.off, []byte(c.b))
			o := options(crashed)
			var damages []Damage
			o.Damaged = func(d Damage) { damages = append(damages, d) }
			j, r := open(t, o, nil)
			if len(damages) != c.damages || len(r.payloads) != 5-len(c.lost) {
				t.Errorf("%s: %d records, damage %v", c.what, len(r.payloads), damages)
			}
			for _, p := range r.payloads {
				if strings.Contains(c.lost, p[7:8]) {
					t.Errorf("%s: found %.8s", c.what, p)
				}
			}
			if c.damages == 1 && c.lost != "4" && (damages[0].From > int64(at[1].Offset) || damages[0].To < int64(at[2].Offset) || damages[0].File != name) {
				t.Errorf("%s: %+v", c.what, damages)
			}
			mustAppend(t, j, "and on it goes")
			closeJournal(t, j)
		}
	})
}

func TestLostSegmentHeaderIsReportedAndKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		j, _ := open(t, options(d), nil)
		mustAppend(t, j, "lost")
		closeJournal(t, j)
		name := slotName(testDir, 0)
		patch(t, d, name, 0, make([]byte, 100))
		patch(t, d, name, 64<<10-block, make([]byte, 100))
		o := options(d)
		var damages []Damage
		o.Damaged = func(d Damage) { damages = append(damages, d) }
		j, _ = open(t, o, nil)
		defer closeJournal(t, j)
		if len(damages) != 1 || damages[0].Segment != 0 {
			t.Errorf("%v", damages)
		}
		if _, err := d.Stat(name + ".damaged"); err != nil {
			t.Error(err)
		}
	})
}

func TestUnreadableSegmentDoesNotStopTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		o := options(d)
		o.SegmentSize, o.FullWait = 1<<20, DefaultFullWait // several reads
		j, _ := open(t, o, nil)
		mustAppend(t, j, "readable")
		for range 30 {
			mustAppend(t, j, strings.Repeat("x", 20000))
		}
		closeJournal(t, j)
		f := faultfs.Wrap(d)
		o.FS = f
		n := 0
		f.Hook(func(op faultfs.Op, name string) error {
			if op == faultfs.Read {
				if n++; n == 3+2 { // two segments' headers and the first two parts were read
					return faultfs.EIO
				}
			}
			return nil
		})
		var damages []Damage
		o.Damaged = func(d Damage) { damages = append(damages, d) }
		j, r := open(t, o, nil)
		defer closeJournal(t, j)
		if len(damages) == 0 || len(r.payloads) < 10 {
			t.Errorf("%d records, %v", len(r.payloads), damages)
		}
	})
}

func TestChangedSegmentSize(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		j, _ := open(t, options(d), nil)
		for range 20 {
			j.Unpin(mustAppend(t, j, strings.Repeat("x", 5000)))
		}
		mustAppend(t, j, "live")
		closeJournal(t, j)
		o := options(d)
		o.SegmentSize, o.MaxSegments = 128<<10, 4
		j, r := open(t, o, nil)
		defer closeJournal(t, j)
		for _, pos := range r.pos {
			j.Unpin(pos)
		}
		for range 30 {
			j.Unpin(mustAppend(t, j, strings.Repeat("y", 100_000)))
		}
		if u := j.Usage(); u.Files > 4 {
			t.Errorf("%+v", u)
		}
	})
}

func TestReleaseDuringACheckpointNeedsAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		o := options(d)
		begun, goOn := make(chan struct{}), make(chan struct{})
		var calls, allowed atomic.Int32
		allowed.Store(1)
		o.Checkpoint = func(context.Context) error {
			n := calls.Add(1)
			if n == 1 {
				close(begun)
				<-goOn
			}
			if n > allowed.Load() {
				return errors.New("not yet")
			}
			return nil
		}
		j, _ := open(t, o, nil)
		defer closeJournal(t, j)
		first := mustAppend(t, j, "first")
		for range 20 {
			j.Unpin(mustAppend(t, j, strings.Repeat("x", 5000)))
		}
		done := make(chan error, 1)
		go func() { done <- j.Checkpoint(context.Background()) }()
		<-begun
		j.Unpin(first)
		close(goOn)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if u := j.Usage(); u.Oldest != first.Segment {
			t.Errorf("recycled: %+v", u)
		}
		allowed.Store(1000)
		if err := j.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		if u := j.Usage(); u.Oldest == first.Segment {
			t.Errorf("not recycled: %+v", u)
		}
	})
}

func TestCancelledAppend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		f := faultfs.Wrap(d)
		j, _ := open(t, options(f), nil)
		defer closeJournal(t, j)
		mustAppend(t, j, "first")
		eventually(t, func() bool { return hasSpare(j) })
		inSync, release := make(chan struct{}), make(chan struct{})
		f.Hook(func(op faultfs.Op, _ string) error {
			if op == faultfs.Sync {
				close(inSync)
				<-release
				f.Hook(nil)
			}
			return nil
		})
		ctx, cancel := context.WithCancel(context.Background())
		written := make(chan error, 1)
		go func() { _, err := j.Append(ctx, []byte("being written")); written <- err }()
		<-inSync
		waiting := make(chan error, 1)
		go func() { _, err := j.Append(ctx, []byte("waits")); waiting <- err }()
		eventually(t, func() bool { j.mu.Lock(); defer j.mu.Unlock(); return j.urgent == 1 })
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("waiting append: %v", err)
		}
		select {
		case err := <-written:
			t.Errorf("returned while its buffer was being written: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
		close(release)
		if err := <-written; err != nil {
			t.Errorf("append that was being written: %v", err)
		}
	})
}

func TestPinKeepsLazyRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		j, _ := open(t, options(d), nil)
		pin := j.Pin() // before the first segment
		if err := j.AppendLazy([]byte("pinned")); err != nil {
			t.Fatal(err)
		}
		fill := func() {
			for range 20 {
				j.Unpin(mustAppend(t, j, strings.Repeat("x", 5000)))
			}
		}
		fill()
		if err := j.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		has := func() bool {
			c, r := open(t, options(d.Crash()), nil)
			defer closeJournal(t, c)
			for _, p := range r.payloads {
				if p == "pinned" {
					return true
				}
			}
			return false
		}
		if !has() {
			t.Error("a pinned record was recycled")
		}
		j.Unpin(pin)
		if err := j.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		fill()
		fill()
		if has() {
			t.Error("still there after Release")
		}
		closeJournal(t, j)
	})
}

func FuzzScan(f *testing.F) {
	image := make([]byte, 4*block)
	s := &segment{seq: 7, nonce: 1, size: int64(len(image))}
	s.seed = s.makeSeed()
	off := int64(block)
	for _, p := range []string{"hello", "world", strings.Repeat("z", 300)} {
		e := newEntry([][]byte{[]byte(p)})
		header{e.crc, uint32(e.size), uint32(off)}.put(image[off:], s.seed, off)
		copy(image[off+recordHeader:], p)
		off += padded(len(p))
	}
	f.Add(image[block:off], 0, byte(0))
	f.Add(image[block:off], 30, byte(0xff))
	f.Fuzz(func(t *testing.T, records []byte, at int, flip byte) {
		b := make([]byte, 4*block)
		copy(b[block:3*block], records)
		if at >= 0 && at < 2*block {
			b[block+at] ^= flip
		}
		last := int64(0)
		_, err := scan(b, s.seed, 3*block, 0, func(r found) error {
			if r.off <= last || r.off+padded(len(r.payload)) > 3*block+recordHeader || len(r.payload) == 0 {
				t.Fatalf("record at %d of %d", r.off, len(r.payload))
			}
			last = r.off
			return nil
		}, func(from, to int64, _ bool) {
			if from >= to || to > 3*block+align {
				t.Fatalf("gap %d-%d", from, to)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzSegmentHeader(f *testing.F) {
	s := &segment{seq: 7, nonce: 1, tail: 3, size: 64 << 10}
	f.Add(s.header())
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append(b, make([]byte, block)...)[:block]
		p := &segment{size: 64 << 10}
		if p.parse(b) == nil && p.seed != p.makeSeed() {
			t.Error("seed")
		}
	})
}

// TestHeaderIsSyncedBeforeRecords: a segment that is used again could
// otherwise be read with its old header and half its old records.
func TestHeaderIsSyncedBeforeRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := faultfs.Wrap(faultfs.NewDisk())
		var mu sync.Mutex
		unsynced := map[string]int{}
		f.Hook(func(op faultfs.Op, name string) error {
			mu.Lock()
			defer mu.Unlock()
			switch op {
			case faultfs.Write:
				// The two copies of the header, or one batch of records.
				if unsynced[name]++; unsynced[name] > 2 {
					t.Errorf("%s: records written before the header was synced", name)
				}
			case faultfs.Sync:
				unsynced[name] = 0
			}
			return nil
		})
		workload(f)
	})
}
