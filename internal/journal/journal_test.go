package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testDir = "/journal"

func options(fsys vfs.FS) Options {
	return Options{
		FS: fsys, Dir: testDir, SegmentSize: 64 << 10, MaxSegments: 4,
		LazyInterval: time.Millisecond, FullWait: 500 * time.Millisecond, CheckpointInterval: time.Hour,
		Clock: clock.System{}, Log: msglog.Discard(),
	}
}

type recovered struct {
	pos      []Position
	payloads []string
}

// open opens a journal and keeps what is kept alive by keep (nil: all).
func open(t testing.TB, o Options, keep func(payload string) bool) (*Journal, *recovered) {
	t.Helper()
	r := &recovered{}
	o.Replay = func(pos Position, payload []byte) (bool, error) {
		r.pos = append(r.pos, pos)
		r.payloads = append(r.payloads, string(payload))
		return keep == nil || keep(string(payload)), nil
	}
	j, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	j.Recovered()
	return j, r
}

func closeJournal(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func mustAppend(t testing.TB, j *Journal, parts ...string) Position {
	t.Helper()
	var bs [][]byte
	for _, p := range parts {
		bs = append(bs, []byte(p))
	}
	pos, err := j.Append(context.Background(), bs...)
	if err != nil {
		t.Fatal(err)
	}
	return pos
}

func TestAppendIsReadBackNowAndAfterACrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		j, _ := open(t, options(d), nil)
		big := string(bytes.Repeat([]byte("0123456789"), 3000))
		want := []string{"hello world", big, "x"}
		at := []Position{mustAppend(t, j, "hello", " ", "world"), mustAppend(t, j, big[:10000], "", big[10000:]), mustAppend(t, j, "x")}
		for i, pos := range at {
			got, err := j.Load(pos)
			if err != nil || string(got) != want[i] {
				t.Errorf("Load %d: %d octets, %v", i, len(got), err)
			}
		}
		part := make([]byte, 10)
		if n, err := j.ReadAt(at[1], part, 29995); n != 5 || err == nil || string(part[:n]) != big[29995:] {
			t.Errorf("ReadAt at the end: %d %v", n, err)
		}
		crashed := d.Crash()
		closeJournal(t, j)
		j, r := open(t, options(crashed), nil)
		defer closeJournal(t, j)
		if fmt.Sprint(r.payloads) != fmt.Sprint(want) {
			t.Errorf("recovered %d records", len(r.payloads))
		}
		for i, pos := range r.pos {
			if got, err := j.Load(pos); err != nil || string(got) != want[i] {
				t.Errorf("Load %d after recovery: %v", i, err)
			}
		}
	})
}

func TestLazyGoesOutAloneAndWithOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		o := options(d)
		o.LazyInterval = time.Hour
		j, _ := open(t, o, nil)
		if err := j.AppendLazy([]byte("la"), []byte("zy")); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, j, "busy")
		crashed := d.Crash()
		if err := j.AppendLazy([]byte("flushed")); err != nil {
			t.Fatal(err)
		}
		if err := j.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		flushed := d.Crash()
		if err := j.AppendLazy([]byte("closed")); err != nil {
			t.Fatal(err)
		}
		closeJournal(t, j)
		for _, c := range []struct {
			d    *faultfs.Disk
			want string
		}{{crashed, "[lazy busy]"}, {flushed, "[lazy busy flushed]"}, {d, "[lazy busy flushed closed]"}} {
			j, r := open(t, options(c.d), nil)
			if got := fmt.Sprint(r.payloads); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			closeJournal(t, j)
		}
		o.LazyInterval = time.Millisecond
		d = faultfs.NewDisk()
		o.FS = d
		j, _ = open(t, o, nil)
		defer closeJournal(t, j)
		if err := j.AppendLazy([]byte("alone")); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return j.Usage().Records == 1 })
	})
}

func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	for range 5000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("never happened")
}

func TestSegmentsAreReusedInOrderAndOldRecordsDoNotComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		o := options(d)
		var checkpoints atomic.Int64
		o.Checkpoint = func(context.Context) error { checkpoints.Add(1); return nil }
		j, _ := open(t, o, nil)
		payload := string(bytes.Repeat([]byte("p"), 5000))
		for i := range 200 {
			j.Unpin(mustAppend(t, j, fmt.Sprintf("%04d%s", i, payload)))
		}
		if u := j.Usage(); u.Files > 4 || checkpoints.Load() == 0 {
			t.Errorf("%d files, %d checkpoints", u.Files, checkpoints.Load())
		}
		crashed := d.Crash()
		closeJournal(t, j)
		j, r := open(t, options(crashed), nil)
		defer closeJournal(t, j)
		last := ""
		for _, p := range r.payloads {
			if p[:4] <= last {
				t.Fatalf("%s after %s", p[:4], last)
			}
			last = p[:4]
		}
		if last != "0199" || len(r.payloads) > 4*13 {
			t.Errorf("%d records, last %s", len(r.payloads), last)
		}
	})
}

func TestNothingIsReusedWithoutACheckpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		o := options(d)
		fail := errors.New("store not synced")
		var mu sync.Mutex
		o.Checkpoint = func(context.Context) error { mu.Lock(); defer mu.Unlock(); return fail }
		j, _ := open(t, o, nil)
		defer closeJournal(t, j)
		payload := bytes.Repeat([]byte("p"), 10000)
		n := 0
		for ; ; n++ {
			pos, err := j.Append(context.Background(), payload)
			if err != nil {
				if !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
				break
			}
			j.Unpin(pos)
			if n > 100 {
				t.Fatal("the log never filled")
			}
		}
		if n < 15 {
			t.Errorf("only %d records fit into four segments", n)
		}
		mu.Lock()
		fail = nil
		mu.Unlock()
		if err := j.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(context.Background(), payload); err != nil {
			t.Errorf("after the checkpoint: %v", err)
		}
	})
}

func TestConcurrentAppends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		o := options(vfs.OS{})
		o.Dir, o.FullWait = dir+"/j", time.Minute
		j, _ := open(t, o, nil)
		const writers, each = 20, 50
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					text := fmt.Sprintf("%d-%d-%s", w, i, bytes.Repeat([]byte("z"), (w*i)%2000))
					pos, err := j.Append(context.Background(), []byte(text))
					if err != nil {
						t.Error(err)
						return
					}
					if got, err := j.Load(pos); err != nil || string(got) != text {
						t.Errorf("%v", err)
					}
					if i < each-1 {
						j.Unpin(pos)
					}
				}
			})
		}
		wg.Wait()
		u := j.Usage()
		if u.Records != writers*each || u.Commits == 0 {
			t.Errorf("%+v", u)
		}
		closeJournal(t, j)
		if _, err := j.Append(context.Background(), []byte("late")); !errors.Is(err, ErrClosed) {
			t.Errorf("append after Close: %v", err)
		}
		j, r := open(t, o, nil)
		defer closeJournal(t, j)
		if len(r.payloads) < writers {
			t.Errorf("%d records", len(r.payloads))
		}
	})
}

func TestTwoJournalsAndTheLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		a, _ := open(t, options(d), nil)
		defer closeJournal(t, a)
		if _, err := Open(context.Background(), options(d)); !errors.Is(err, ErrInUse) {
			t.Errorf("second Open: %v", err)
		}
		o := options(d)
		o.Dir, o.SegmentSize = "/other", 32<<10
		b, _ := open(t, o, nil)
		defer closeJournal(t, b)
		mustAppend(t, a, "a")
		mustAppend(t, b, "b")
		if _, err := b.Append(context.Background(), make([]byte, 40<<10)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("too large: %v", err)
		}
	})
}
