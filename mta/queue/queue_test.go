package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(fsys vfs.FS) Options {
	cfg := configs.Default().Queue
	cfg.SegmentSize, cfg.MaxSegments, cfg.MoveSegments = 64<<10, 8, 4
	cfg.MemoryLimit, cfg.LazyInterval = 8<<10, time.Millisecond
	cfg.CheckpointInterval, cfg.AddWait = time.Hour, 10*time.Second
	return Options{FS: fsys, Dir: "/queue", Config: cfg, Clock: clock.System{}, Log: msglog.Discard()}
}

func open(t testing.TB, o Options) *Queue {
	t.Helper()
	q, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func closeQueue(t testing.TB, q *Queue) {
	t.Helper()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

// running opens a queue with its background work, until the test ends.
func running(t testing.TB, o Options) *Queue {
	t.Helper()
	q := open(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

func testEnvelope(q *Queue, recipients ...string) *envelope.Envelope {
	env := &envelope.Envelope{
		ID: q.NewID(), Sender: addr.Address{Local: "Sender", Domain: "example.org"}, Arrived: time.Unix(1_700_000_000, 5000),
		Body: envelope.Body8BitMIME, UTF8: true, Return: envelope.ReturnFull, EnvID: "env+20id", Hops: 3,
		Origin: envelope.Origin{Protocol: "ESMTPS", ClientAddr: "192.0.2.1", ClientName: "c.example", Helo: "h", Login: "l", Session: "s", TLS: "TLS1.3"},
	}
	for _, r := range recipients {
		env.Recipients = append(env.Recipients, envelope.Recipient{
			Address:  addr.Address{Local: r, Domain: "example.test"},
			Original: addr.Address{Local: "alias", Domain: "example.test"},
			ORcpt:    "rfc822;x", Notify: envelope.NotifyFailure,
		})
	}
	return env
}

const prefix = "Received: from test\n"

// add puts a message into the queue; its content is text.
func add(t testing.TB, q *Queue, text string, recipients ...string) *envelope.Envelope {
	t.Helper()
	env := testEnvelope(q, recipients...)
	b := q.Spool().New()
	if _, err := b.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := q.Add(context.Background(), env, []byte(prefix), b); err != nil {
		t.Fatal(err)
	}
	return env
}

func take(t testing.TB, q *Queue) *Item {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	it, err := q.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// nothing asserts that no message is due.
func nothing(t testing.TB, q *Queue) {
	t.Helper()
	if it := tryTake(t, q); it != nil {
		t.Errorf("handed out %s", it.Envelope.ID)
	}
}

// tryTake is Next without the wait: a limit of time would cut off on a busy machine
// what Next does before it waits. nil: no message is due.
func tryTake(t testing.TB, q *Queue) *Item {
	t.Helper()
	for {
		j, _, err := q.index.take()
		if err != nil {
			t.Fatal(err)
		}
		if j.m == nil {
			return nil
		}
		if it := q.handOut(context.Background(), j); it != nil {
			return it
		}
	}
}

func text(t testing.TB, it *Item) string {
	t.Helper()
	c, err := it.Content()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := io.ReadAll(envelope.Reader(c))
	if err != nil || int64(len(b)) != c.Size() {
		t.Fatalf("%d of %d octets: %v", len(b), c.Size(), err)
	}
	return string(b)
}

func done(t testing.TB, it *Item, e Effect) {
	t.Helper()
	for _, i := range it.Pending() {
		if err := it.Done(i, e); err != nil {
			t.Fatal(err)
		}
	}
	closeItem(t, it, time.Time{})
}

func closeItem(t testing.TB, it *Item, next time.Time) {
	t.Helper()
	if err := it.Close(context.Background(), next, false); err != nil {
		t.Fatal(err)
	}
}

var large = strings.Repeat("A line of a large message.\n", 2000)

func TestThroughTheQueue(t *testing.T) {
	t.Parallel()
	q := running(t, options(faultfs.NewDisk()))
	small, big := add(t, q, "small\n", "a", "b"), add(t, q, large, "c")
	for _, want := range []struct {
		env  *envelope.Envelope
		text string
	}{{small, prefix + "small\n"}, {big, prefix + large}} {
		it := take(t, q)
		if it.Envelope.ID != want.env.ID || it.Replay || it.Attempts != 0 || text(t, it) != want.text {
			t.Errorf("%+v", it)
		}
		done(t, it, EffectFinal)
	}
	nothing(t, q)
	if all, err := q.List(context.Background(), Filter{}, "", 10); err != nil || len(all) != 0 {
		t.Errorf("%v %v", all, err)
	}
}

func TestDeferredComesBackWithItsState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, content := range []string{"small\n", large} {
			d := faultfs.NewDisk()
			q := running(t, options(d))
			env := add(t, q, content, "a", "b", "c")
			it := take(t, q)
			if err := it.Done(1, EffectStore); err != nil {
				t.Fatal(err)
			}
			it.Failed(0, &dsn.Error{Status: dsn.NoAnswer, Text: "no answer", RemoteMTA: "mx", RemoteReply: "421 x", Cause: errors.New("secret")})
			if err := it.Close(context.Background(), time.Now().Add(10*time.Millisecond), true); err != nil {
				t.Fatal(err)
			}
			check := func(it *Item, attempts int, replay bool) {
				t.Helper()
				if it.Envelope.ID != env.ID || fmt.Sprint(it.Envelope) != fmt.Sprint(env) || !slices.Equal(it.Pending(), []int{0, 2}) ||
					it.Attempts != attempts || !it.Warned || it.Replay != replay {
					t.Errorf("%+v %v", it, it.Pending())
				}
				if e := it.LastError(0); e == nil || e.Status != dsn.NoAnswer || e.RemoteReply != "421 x" || it.LastError(2) != nil {
					t.Errorf("%v", e)
				}
				if text(t, it) != prefix+content {
					t.Error("content differs")
				}
			}
			it = take(t, q)
			check(it, 1, true)
			if err := it.Close(context.Background(), time.Now().Add(-time.Second), true); err != nil {
				t.Fatal(err)
			}
			o := options(d.Crash())
			q2 := running(t, o)
			it = take(t, q2)
			check(it, 2, true)
			done(t, it, EffectFinal)
		}
	})
}

func TestMarksAfterACrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		o := options(d)
		var store atomic.Int32
		o.Checkpoint = func(context.Context) error { store.Add(1); return nil }
		q := open(t, o)
		final, covered, uncovered := add(t, q, "final\n", "a"), add(t, q, "covered\n", "a"), add(t, q, "uncovered\n", "a", "b")
		done(t, take(t, q), EffectFinal)
		done(t, take(t, q), EffectStore)
		if err := q.disk.ledger.j.Checkpoint(context.Background()); err != nil || store.Load() != 1 {
			t.Fatal(err)
		}
		it := take(t, q)
		_ = it.Done(0, EffectFinal)
		_ = it.Done(1, EffectStore)
		closeItem(t, it, time.Time{})
		if err := q.disk.ledger.j.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		crashed := d.Crash()
		closeQueue(t, q)
		// The second crash comes after a checkpoint of the second process, which
		// must not cover the marks of the first.
		for range 2 {
			q = open(t, options(crashed))
			it = take(t, q)
			if it.Envelope.ID != uncovered.ID || !it.Replay || !slices.Equal(it.Pending(), []int{1}) {
				t.Errorf("%s %v, want %s; not %s %s", it.Envelope.ID, it.Pending(), uncovered.ID, final.ID, covered.ID)
			}
			nothing(t, q)
			if err := q.disk.ledger.j.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
			crashed = crashed.Crash()
			closeQueue(t, q)
		}
		q = open(t, options(d))
		defer closeQueue(t, q)
		nothing(t, q) // closed in order: all is covered
	})
}

func TestInUseAndIDs(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	q := open(t, options(d))
	if _, err := Open(context.Background(), options(d)); !errors.Is(err, ErrInUse) {
		t.Error(err)
	}
	seen := map[envelope.QueueID]bool{}
	last := envelope.QueueID("")
	for range 1000 {
		id := q.NewID()
		if seen[id] || id <= last || !validID(id) {
			t.Fatalf("%s after %s", id, last)
		}
		seen[id], last = true, id
	}
	closeQueue(t, q)
	q = open(t, options(d))
	defer closeQueue(t, q)
	if q.ids.epoch != "2" {
		t.Errorf("epoch %s", q.ids.epoch)
	}
	if err := q.Add(context.Background(), &envelope.Envelope{ID: "../x"}, nil, envelope.Memory("x")); err == nil {
		t.Error("a bad ID was accepted")
	}
}
