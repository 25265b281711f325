package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// told is what the world outside the queue knows: the promises that must hold
// after any failure.
type told struct {
	// texts are the messages whose Add succeeded.
	texts map[envelope.QueueID]string
	// final recipients have a mark that is durable: never again.
	final map[string]bool
	// stored recipients were delivered into the store and are durable there;
	// written ones lie there unsynced.
	stored, written map[string]bool
	deleted         map[envelope.QueueID]bool
	// elsewhere recipients were taken over by another host.
	elsewhere map[string]bool
	// checkpoints of the store; none works from zero on.
	checkpoints int
	// mu guards stored, written and checkpoints: the journal makes a checkpoint
	// of its own accord while the workload writes.
	mu sync.Mutex
}

func newTold() *told {
	return &told{
		texts: map[envelope.QueueID]string{}, final: map[string]bool{}, stored: map[string]bool{}, written: map[string]bool{},
		deleted: map[envelope.QueueID]bool{}, elsewhere: map[string]bool{},
	}
}

func key(id envelope.QueueID, i int) string { return fmt.Sprintf("%s/%d", id, i) }

// workload runs mail through a queue: delivered, deferred, held, deleted,
// large and small. The store is a map that a checkpoint makes durable.
func workload(fsys vfs.FS) *told { return workloadUntil(fsys, never) }

const never = 1 << 30

// workloadUntil is workload with a store that fails for good at the n-th
// checkpoint, as mailstore does.
func workloadUntil(fsys vfs.FS, n int) *told {
	w := newTold()
	w.checkpoints = -n
	o := options(fsys)
	o.Config.SegmentSize, o.Config.AddWait = 32<<10, time.Second
	o.Checkpoint = func(context.Context) error {
		return w.makeDurable()
	}
	q, err := Open(context.Background(), o)
	if err != nil {
		return w
	}
	defer q.Close()
	ctx := context.Background()
	for i := range 14 {
		w.add(q, i)
		if i%2 == 1 {
			w.deliver(q, i)
		}
		if i%5 == 4 {
			_ = q.disk.ledger.j.Checkpoint(ctx)
			q.removeDeparted(ctx)
		}
	}
	w.administrate(q)
	return w
}

// write puts a recipient's copy into the store.
func (w *told) write(k string) {
	w.mu.Lock()
	w.written[k] = true
	w.mu.Unlock()
}

// makeDurable is a checkpoint of the store.
func (w *told) makeDurable() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.checkpoints++; w.checkpoints >= 0 {
		return errors.New("the store cannot be made durable")
	}
	for k := range w.written {
		w.stored[k] = true
	}
	clear(w.written)
	return nil
}

func (w *told) add(q *Queue, i int) {
	env := testEnvelope(q, "a", "b", "c")
	text := fmt.Sprintf("message %d %s\n", i, strings.Repeat("x", 50+i*331%3000))
	if i%4 == 3 {
		text += large
	}
	b := q.Spool().New()
	if _, err := io.WriteString(b, text); err != nil {
		_ = b.Close()
		return
	}
	if q.Add(context.Background(), env, []byte(prefix), b) == nil {
		w.texts[env.ID] = prefix + text
	}
}

// deliver takes one message through an attempt with a mixed outcome.
func (w *told) deliver(q *Queue, i int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	it, err := q.Next(ctx)
	if err != nil {
		return
	}
	id := it.Envelope.ID
	w.write(key(id, 0))
	_ = it.Done(0, EffectStore)
	w.elsewhere[key(id, 1)] = true
	_ = it.Done(1, EffectFinal)
	if q.disk.ledger.j.Flush(context.Background()) == nil {
		w.final[key(id, 1)] = true
	}
	switch i % 3 {
	case 0:
		w.write(key(id, 2))
		_ = it.Done(2, EffectStore)
	default:
		it.Failed(2, dsn.New(dsn.NoAnswer, "later"))
	}
	_ = it.Close(context.Background(), q.o.Clock.Now().Add(time.Duration(i%3-1)*time.Hour), false)
}

func (w *told) administrate(q *Queue) {
	ctx := context.Background()
	all, err := q.List(ctx, Filter{}, "", 100)
	if err != nil {
		return
	}
	for i, info := range all {
		switch i % 5 {
		case 0:
			_ = q.Hold(ctx, info.ID)
		case 1:
			if q.Hold(ctx, info.ID) == nil {
				_ = q.Release(ctx, info.ID)
			}
		case 2:
			_ = q.Requeue(ctx, info.ID)
		case 3:
			// Even a Delete that fails may have happened.
			w.deleted[info.ID] = true
			_ = q.Delete(ctx, info.ID)
		}
	}
}

// check recovers the queue on a disk and compares. powerLoss says that the
// store lost what was not synced.
func (w *told) check(t *testing.T, fsys vfs.FS, powerLoss bool, when string) {
	t.Helper()
	o := options(fsys)
	q, err := Open(context.Background(), o)
	if err != nil {
		t.Errorf("%s: %v", when, err)
		return
	}
	defer closeQueue(t, q)
	ctx := context.Background()
	all, err := q.List(ctx, Filter{}, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range all {
		if info.Place == Hold {
			_ = q.Release(ctx, info.ID)
		}
	}
	if _, err := q.Flush(ctx, Filter{}); err != nil {
		t.Fatal(err)
	}
	if err := q.scan(ctx); err != nil {
		t.Fatal(err)
	}
	pending := w.drain(t, q, when)
	for id := range w.texts {
		if w.deleted[id] {
			continue
		}
		for i := range 3 {
			k := key(id, i)
			safe := w.stored[k] || w.elsewhere[k] || (w.written[k] && !powerLoss)
			if !safe && !pending[k] {
				t.Errorf("%s: recipient %s is lost", when, k)
			}
		}
	}
}

// drain takes everything out of the recovered queue, in which nothing may come
// twice, fresh or without its content.
func (w *told) drain(t *testing.T, q *Queue, when string) map[string]bool {
	t.Helper()
	pending, seen := map[string]bool{}, map[envelope.QueueID]bool{}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		it, err := q.Next(ctx)
		cancel()
		if err != nil {
			return pending
		}
		id := it.Envelope.ID
		if seen[id] || !it.Replay {
			t.Errorf("%s: %s twice %v, replay %v", when, id, seen[id], it.Replay)
		}
		seen[id] = true
		c, err := it.Content()
		if err != nil {
			t.Errorf("%s: content of %s: %v", when, id, err)
			return pending
		}
		if b, err := io.ReadAll(envelope.Reader(c)); err != nil || w.texts[id] != "" && string(b) != w.texts[id] {
			t.Errorf("%s: content of %s differs: %v", when, id, err)
		}
		_ = c.Close()
		for _, i := range it.Pending() {
			if k := key(id, i); w.final[k] {
				t.Errorf("%s: %s is done and came back", when, k)
			} else {
				pending[k] = true
			}
			_ = it.Done(i, EffectFinal)
		}
		closeItem(t, it, time.Time{})
	}
}

func TestWorkloadWithoutFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		w := workload(d)
		if len(w.texts) != 14 || len(w.final) < 5 || len(w.stored) < 5 {
			t.Fatalf("%d accepted, %d final, %d stored", len(w.texts), len(w.final), len(w.stored))
		}
		w.check(t, d.Crash(), true, "no fault")
	})
}

func TestEachOperationFailsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, cause := range []error{faultfs.EIO, faultfs.ENOSPC} {
			for n := 1; ; n++ {
				d := faultfs.NewDisk()
				f := faultfs.Wrap(d)
				f.FailNth(faultfs.Any, n, cause)
				w := workload(f)
				w.check(t, d.Clone(), false, fmt.Sprintf("%v at %d, restart", cause, n))
				w.check(t, d.Crash(), true, fmt.Sprintf("%v at %d, power loss", cause, n))
				if f.Count(faultfs.Any) < n || t.Failed() {
					break
				}
			}
		}
	})
}

// TestStoreThatCannotBeMadeDurable: as long as the store does not say that it
// has a message, the queue keeps it.
func TestStoreThatCannotBeMadeDurable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for n := 1; ; n++ {
			d := faultfs.NewDisk()
			w := workloadUntil(d, n)
			w.check(t, d.Clone(), true, fmt.Sprintf("no checkpoint from the %d. on, restart", n))
			w.check(t, d.Crash(), true, fmt.Sprintf("no checkpoint from the %d. on, power loss", n))
			if w.checkpoints < 0 || t.Failed() {
				break
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
			w := workload(f)
			w.check(t, d.Clone(), false, fmt.Sprintf("killed at %d", n))
			w.check(t, d.Crash(), true, fmt.Sprintf("at %d", n))
			w.check(t, d.CrashRandom(rand.New(rand.NewPCG(uint64(n), 1))), true, fmt.Sprintf("at %d with luck", n))
			if f.Count(faultfs.Any) < n || t.Failed() {
				break
			}
		}
	})
}

func TestFailuresDuringRecovery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := faultfs.NewDisk()
		w := workload(disk)
		crashed := disk.Crash()
		for n := 1; ; n++ {
			d := crashed.Clone()
			f := faultfs.Wrap(d)
			f.FailFrom(faultfs.Any, n, faultfs.EIO)
			q, err := Open(context.Background(), options(f))
			if err == nil {
				_ = q.Close()
			}
			w.check(t, d.Clone(), true, fmt.Sprintf("recovery killed at %d", n))
			w.check(t, d.Crash(), true, fmt.Sprintf("recovery without power at %d", n))
			if f.Count(faultfs.Any) < n || t.Failed() {
				break
			}
		}
	})
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		d.Limit(300 << 10)
		o := options(d)
		o.Config.AddWait = 500 * time.Millisecond
		q := running(t, o)
		var err error
		n := 0
		for ; n < 200 && err == nil; n++ {
			content := envelope.Memory(strings.Repeat("x", 5000))
			err = q.Add(context.Background(), testEnvelope(q, "a"), nil, content)
		}
		if dsn.From(err).Status != dsn.SystemFull {
			t.Fatalf("after %d: %v", n, err)
		}
		err = q.Add(context.Background(), testEnvelope(q, "a"), nil, envelope.Memory(large+large+large+large+large))
		if dsn.From(err).Status != dsn.SystemFull {
			t.Errorf("large: %v", err)
		}
		// What is queued goes out, and makes room.
		for range n - 1 {
			done(t, take(t, q), EffectFinal)
		}
		if err := q.disk.ledger.j.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		add(t, q, "there is room again\n", "a")
		d.Limit(0)
		add(t, q, large, "a")
	})
}

func TestFullBacklogIsRefusedForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options(faultfs.NewDisk())
		o.Config.IncomingLimit, o.Config.AddWait = 2, time.Second
		q := open(t, o) // without Run, which would make room
		defer closeQueue(t, q)
		add(t, q, "1", "a")
		add(t, q, "2", "a")
		err := q.Add(context.Background(), testEnvelope(q, "a"), nil, envelope.Memory("3"))
		if dsn.From(err).Status != dsn.MailSystem {
			t.Errorf("%v", err)
		}
		done(t, take(t, q), EffectFinal)
		add(t, q, "3", "a")
	})
}

func TestDamagedThingsAreSetAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		o := options(d)
		q := open(t, o)
		bad, good := add(t, q, "bad\n", "a"), add(t, q, "good\n", "a")
		for range 2 {
			closeItem(t, take(t, q), time.Now().Add(time.Hour))
		}
		lost := add(t, q, large, "a")
		kept := add(t, q, "kept\n", "a")
		if _, err := q.disk.ledger.j.Append(context.Background(), []byte{99, 1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		bucketDir := filepath.Dir(q.disk.files.path(Deferred, bad.ID))
		content := q.disk.files.content(lost.ID)
		crashed := d.Crash()
		closeQueue(t, q)
		f, err := crashed.OpenFile(filepath.Join(bucketDir, string(bad.ID)), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("?"), fileHeader+3); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		if err := crashed.Remove(content); err != nil {
			t.Fatal(err)
		}
		q = running(t, options(crashed))
		if _, err := q.Flush(context.Background(), Filter{}); err != nil {
			t.Fatal(err)
		}
		want := map[envelope.QueueID]bool{good.ID: true, kept.ID: true, bad.ID: true}
		for range 3 {
			it := take(t, q)
			if !want[it.Envelope.ID] {
				t.Errorf("handed out %s", it.Envelope.ID)
			}
			delete(want, it.Envelope.ID)
			done(t, it, EffectFinal)
		}
		nothing(t, q)
		entries, err := crashed.ReadDir("/queue/corrupt")
		if err != nil || len(entries) != 3 {
			t.Errorf("corrupt: %v %v", entries, err)
		}
		all, err := q.List(context.Background(), Filter{Place: Corrupt}, "", 10)
		if err != nil || len(all) != 2 {
			t.Errorf("%v %v", all, err)
		}
		for _, info := range all {
			if err := q.Delete(context.Background(), info.ID); err != nil {
				t.Error(err)
			}
		}
		if err := q.Delete(context.Background(), bad.ID); !errors.Is(err, ErrNoMessage) {
			t.Error(err)
		}
	})
}

// TestNoRecordIsLostForWantOfItsContent: the record of a message whose content
// file is gone goes to corrupt/; while it cannot be read or written there, the
// message stays in the queue.
func TestNoRecordIsLostForWantOfItsContent(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, fails := range map[string]func(op faultfs.Op, path string) bool{
		"read": func(op faultfs.Op, path string) bool {
			return op == faultfs.Read && strings.Contains(path, "/journal/")
		},
		"write": func(_ faultfs.Op, path string) bool { return strings.Contains(path, "/corrupt/") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := faultfs.NewDisk()
			q := open(t, options(d))
			env := add(t, q, large, "a")
			d = d.Crash()
			closeQueue(t, q)
			content := "/queue/content/" + string(env.ID)
			must(t, errors.Join(d.Remove(content), d.SyncDir("/queue/content")))

			f := faultfs.Wrap(d)
			var looked atomic.Bool // the reads before it are the journal's own
			f.Hook(func(op faultfs.Op, path string) error {
				if path == content {
					looked.Store(true)
				}
				if looked.Load() && fails(op, path) {
					return broken
				}
				return nil
			})
			q = open(t, options(f))
			f.Hook(nil)
			if got := list(t, q, Filter{}); got != "incoming" {
				t.Errorf("in the queue: %q", got)
			}
			d = d.Crash()
			closeQueue(t, q)
			q = open(t, options(d))
			defer closeQueue(t, q)
			if got := list(t, q, Filter{}); got != "corrupt" {
				t.Errorf("after the disk was repaired: %q", got)
			}
		})
	}
}

// TestAFullDiskKeepsNoQueueClosed: the queue is a part of the server that has the mailboxes, in which
// mail could be deleted. What it writes at a start, the number of starts, needs no space.
func TestAFullDiskKeepsNoQueueClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		o := options(d)
		q := open(t, o)
		add(t, q, "text\n", "a")
		closeQueue(t, q)
		d.Limit(d.Used())
		known := map[string]bool{q.ids.epoch: true}
		for range 3 {
			q, err := Open(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			if known[q.ids.epoch] {
				t.Errorf("the epoch %s once more", q.ids.epoch)
			}
			known[q.ids.epoch] = true
			must(t, take(t, q).Close(context.Background(), time.Time{}, false))
			must(t, q.Close())
		}
		d.Limit(0)
		q = open(t, o)
		if known[q.ids.epoch] {
			t.Error("the epoch when there is room again was one before")
		}
		done(t, take(t, q), EffectFinal)
		closeQueue(t, q)
	})
}
