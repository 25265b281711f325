package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
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

func list(t *testing.T, q *Queue, f Filter) string {
	t.Helper()
	all, err := q.List(context.Background(), f, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, info := range all {
		places = append(places, string(info.Place))
	}
	if f == (Filter{}) {
		wantCounts(t, q, places)
	}
	return strings.Join(places, " ")
}

// wantCounts compares Counts with what List found. Nothing moves meanwhile.
func wantCounts(t *testing.T, q *Queue, places []string) {
	t.Helper()
	got, err := q.Counts()
	must(t, err)
	want := map[Place]int64{Incoming: 0, Active: 0, Deferred: 0, Hold: 0, Corrupt: 0}
	for _, p := range places {
		want[Place(p)]++
	}
	if !maps.Equal(got, want) {
		t.Errorf("counts %v, want %v", got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAdministration(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	later := time.Now().Add(time.Hour)
	q := running(t, options(faultfs.NewDisk()))
	deferred := add(t, q, "deferred\n", "a")
	it := take(t, q)
	it.Failed(0, dsn.New(dsn.NoAnswer, "no answer"))
	closeItem(t, it, later)
	active, incoming := add(t, q, "active\n", "b"), add(t, q, large, "c")
	it = take(t, q)
	if got := list(t, q, Filter{}); got != "deferred active incoming" {
		t.Fatal(got)
	}
	info, env, content, err := q.Get(ctx, deferred.ID)
	must(t, err)
	if b, err := io.ReadAll(envelope.Reader(content)); err != nil || string(b) != prefix+"deferred\n" || env.ID != deferred.ID {
		t.Errorf("%q %v", b, err)
	}
	must(t, content.Close())
	if info.Recipients[0].Reason != "4.4.1 no answer" || info.Attempts != 1 || info.Next.Unix() != later.Unix() || info.Sender != "Sender@example.org" {
		t.Errorf("%+v", info)
	}

	for _, e := range []*envelope.Envelope{deferred, active, incoming} {
		if err := q.Release(ctx, e.ID); !errors.Is(err, ErrUnchanged) {
			t.Errorf("not on hold: %v", err)
		}
		must(t, q.Hold(ctx, e.ID))
		if err := q.Hold(ctx, e.ID); !errors.Is(err, ErrUnchanged) {
			t.Errorf("on hold already: %v", err)
		}
	}
	if got := list(t, q, Filter{}); got != "hold active hold" {
		t.Error(got)
	}
	closeItem(t, it, later)
	if got := list(t, q, Filter{Place: Hold}); got != "hold hold hold" {
		t.Error(got)
	}
	nothing(t, q)
	_, _, content, err = q.Get(ctx, incoming.ID)
	must(t, err)
	if content.Size() != int64(len(prefix+large)) {
		t.Error("size of a held large message")
	}
	must(t, content.Close())

	must(t, q.Release(ctx, incoming.ID))
	if it = take(t, q); it.Envelope.ID != incoming.ID || text(t, it) != prefix+large {
		t.Error("released message")
	}
	must(t, q.Delete(ctx, incoming.ID))
	closeItem(t, it, later)
	must(t, q.Requeue(ctx, deferred.ID))
	if it = take(t, q); it.Envelope.ID != deferred.ID || it.Attempts != 0 || it.LastError(0) != nil {
		t.Errorf("requeued message: %+v", it)
	}
	must(t, q.Requeue(ctx, deferred.ID))
	closeItem(t, it, later)
	it = take(t, q)
	closeItem(t, it, later)
	must(t, q.Delete(ctx, active.ID))
	if got := list(t, q, Filter{}); got != "deferred" {
		t.Error(got)
	}
	if n, err := q.Flush(ctx, Filter{Recipient: "X@example.test"}); n != 0 || err != nil {
		t.Error(n, err)
	}
	for _, none := range []Filter{{Recipient: "@sub.example.test"}, {Recipient: "@ample.test"}, {Sender: "<>"}, {Sender: "@example.test"}, {Recipient: "@"}, {ID: active.ID}, {ID: "x"}, {ID: deferred.ID, Sender: "<>"}} {
		if n, err := q.Flush(ctx, none); n != 0 || err != nil {
			t.Errorf("%+v: %d, %v", none, n, err)
		}
	}
	if n, err := q.Flush(ctx, Filter{Recipient: "A@Example.Test", Sender: "sender@example.org", ID: deferred.ID}); n != 1 || err != nil {
		t.Error(n, err)
	}
	done(t, take(t, q), EffectFinal)
	for _, call := range []func(context.Context, envelope.QueueID) error{q.Hold, q.Release, q.Requeue, q.Delete} {
		for _, id := range []envelope.QueueID{active.ID, deferred.ID, q.NewID(), "../../etc/passwd", ""} {
			if err := call(ctx, id); !errors.Is(err, ErrNoMessage) {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
	if _, _, _, err := q.Get(ctx, active.ID); !errors.Is(err, ErrNoMessage) {
		t.Error(err)
	}
}

func TestDeleteIsDurable(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	q := running(t, options(d))
	env := add(t, q, large, "a")
	must(t, q.Delete(context.Background(), env.ID))
	q2 := running(t, options(d.Crash()))
	nothing(t, q2)
}

func TestListPages(t *testing.T) {
	t.Parallel()
	q := running(t, options(faultfs.NewDisk()))
	var want []envelope.QueueID
	for i := range 60 {
		want = append(want, add(t, q, "x\n", fmt.Sprint("r", i%3)).ID)
		if i%2 == 0 {
			closeItem(t, take(t, q), time.Now().Add(time.Hour))
		}
	}
	var got []envelope.QueueID
	after := envelope.QueueID("")
	for {
		page, err := q.List(context.Background(), Filter{}, after, 7)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, info := range page {
			got = append(got, info.ID)
		}
		after = got[len(got)-1]
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d of %d, or not in order", len(got), len(want))
	}
	page, err := q.List(context.Background(), Filter{Recipient: "r1@example.test"}, "", 100)
	if must(t, err); len(page) != 20 {
		t.Errorf("filtered: %d", len(page))
	}
}

func TestMarksAreOnDiskBeforeTheFileGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		o := options(d)
		o.Config.LazyInterval = 10 * time.Second
		q := open(t, o)
		add(t, q, "x\n", "a")
		closeItem(t, take(t, q), time.Now().Add(5*time.Millisecond))
		done(t, take(t, q), EffectFinal)
		must(t, q.disk.ledger.j.Checkpoint(context.Background()))
		q.removeDeparted(context.Background())
		crashed := d.Crash()
		closeQueue(t, q)
		q = running(t, options(crashed))
		nothing(t, q)
	})
}

func TestSlowMessagesLeaveTheJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.NewDisk()
		o := options(d)
		o.Config.MoveSegments, o.Config.ContentMemory = 2, 0
		q := open(t, o)
		slowActive := add(t, q, "active\n", "a", "b", "c")
		slow := take(t, q)
		must(t, slow.Done(0, EffectFinal))
		must(t, slow.Done(1, EffectStore))
		waiting := add(t, q, large, "a")
		for range 30 {
			env := add(t, q, strings.Repeat("x", 7000), "a")
			for {
				it := take(t, q)
				if it.Envelope.ID == env.ID {
					done(t, it, EffectFinal)
					break
				}
				closeItem(t, it, time.Time{}) // the waiting one, back to its place
			}
			q.shorten(context.Background())
		}
		if u := q.disk.ledger.j.Usage(); u.Segments > 4 {
			t.Errorf("%+v", u)
		}
		if got := text(t, slow); got != prefix+"active\n" {
			t.Errorf("%q", got)
		}
		must(t, slow.Done(2, EffectFinal))
		must(t, q.disk.ledger.j.Flush(context.Background()))
		crashed := d.Crash()
		must(t, q.scan(context.Background()))
		if it := take(t, q); it.Envelope.ID != waiting.ID || text(t, it) != prefix+large {
			t.Error("the waiting message")
		}
		closeItem(t, slow, time.Time{})
		closeQueue(t, q)
		q = running(t, options(crashed))
		if it := take(t, q); it.Envelope.ID != waiting.ID || !it.Replay {
			t.Errorf("%s, not %s", it.Envelope.ID, slowActive.ID)
		}
		nothing(t, q)
	})
}

func TestMoreDueThanFitsInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options(faultfs.NewDisk())
		o.Config.DueLimit = 5
		q := open(t, o)
		for range 23 {
			add(t, q, "x\n", "a")
			closeItem(t, take(t, q), time.Now().Add(24*time.Hour))
		}
		if n, err := q.Flush(context.Background(), Filter{}); n != 23 || err != nil {
			t.Fatal(n, err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- q.Run(ctx) }()
		for range 23 {
			done(t, take(t, q), EffectFinal)
		}
		nothing(t, q)
		cancel()
		must(t, <-ended)
		closeQueue(t, q)
	})
}

// TestManyAtOnce runs everything at the same time, with restarts.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options(vfs.OS{})
		o.Dir = t.TempDir() + "/queue"
		o.Config.ContentMemory, o.Config.CheckpointInterval, o.Config.AddWait = 20_000, 5*time.Millisecond, time.Minute
		var mu sync.Mutex
		delivered := map[string]int{}
		var added atomic.Int64
		for range 3 {
			q := open(t, o)
			ctx, cancel := context.WithCancel(context.Background())
			var run, workers sync.WaitGroup
			run.Go(func() { _ = q.Run(ctx) })
			for w := range 4 {
				workers.Go(func() {
					for i := range 40 {
						content := fmt.Sprintf("%d %d %s", w, i, strings.Repeat("y", i*w*10))
						if i%10 == 9 {
							content += large
						}
						add(t, q, content, "a", "b")
						added.Add(2)
					}
				})
			}
			for range 3 {
				run.Go(func() {
					for n := 0; ; n++ {
						it, err := q.Next(ctx)
						if err != nil {
							return
						}
						deliverSome(t, it, n, &mu, delivered)
					}
				})
			}
			workers.Go(func() {
				for range 10 {
					all, err := q.List(ctx, Filter{}, "", 20)
					if err != nil {
						t.Error(err)
					}
					for _, info := range all {
						_ = q.Hold(ctx, info.ID)
						_ = q.Release(ctx, info.ID)
					}
				}
			})
			workers.Wait()
			cancel()
			run.Wait()
			closeQueue(t, q)
		}
		q := open(t, o)
		defer closeQueue(t, q)
		_, err := q.Flush(context.Background(), Filter{})
		must(t, err)
		must(t, q.scan(context.Background()))
		for {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			it, err := q.Next(ctx)
			cancel()
			if err != nil {
				break
			}
			deliverSome(t, it, 0, &mu, delivered)
		}
		if got := list(t, q, Filter{}); got != "" {
			t.Errorf("left: %s", got)
		}
		if int64(len(delivered)) != added.Load() {
			t.Errorf("%d of %d delivered", len(delivered), added.Load())
		}
		for k, n := range delivered {
			if n != 1 {
				t.Errorf("%s delivered %d times", k, n)
			}
		}
	})
}

// deliverSome delivers all but, now and then, one recipient.
func deliverSome(t *testing.T, it *Item, n int, mu *sync.Mutex, delivered map[string]int) {
	c, err := it.Content()
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	for _, i := range it.Pending() {
		if n%7 == 6 && i == 1 {
			it.Failed(i, dsn.New(dsn.NoAnswer, "later"))
			continue
		}
		mu.Lock()
		delivered[key(it.Envelope.ID, i)]++
		mu.Unlock()
		if err := it.Done(i, Effect(i+1)); err != nil {
			t.Error(err)
		}
	}
	if err := it.Close(context.Background(), time.Now().Add(time.Duration(n%3)*time.Millisecond), false); err != nil {
		t.Error(err)
	}
}

// TestFilterOfADomainAndOfReports: "@domain" is all of a domain and nothing below it, and
// "<>" or MAILER-DAEMON, as it is listed, the null sender.
func TestFilterOfADomainAndOfReports(t *testing.T) {
	t.Parallel()
	info := func(sender string, to ...string) Info {
		i := Info{Sender: sender}
		for _, a := range to {
			i.Recipients = append(i.Recipients, RecipientInfo{Address: a})
		}
		return i
	}
	mail, report := info("Ann@a.test", "x@b.test", "y@xn--bcher-kva.test"), info("", "ann@a.test")
	for _, c := range []struct {
		f            Filter
		mail, report bool
	}{
		{Filter{Recipient: "@b.test"}, true, false}, {Filter{Recipient: "@B.Test"}, true, false}, {Filter{Recipient: "@bücher.test"}, true, false},
		{Filter{Recipient: "@test"}, false, false}, {Filter{Recipient: "@"}, false, false}, {Filter{Recipient: "b.test"}, false, false},
		{Filter{Sender: "@a.test"}, true, false}, {Filter{Sender: "<>"}, false, true}, {Filter{Sender: "mailer-daemon"}, false, true},
		{Filter{Sender: "@a.test", Recipient: "@a.test"}, false, false}, {Filter{Sender: "ann@a.test"}, true, false}, {Filter{Recipient: "@a.test"}, false, true},
	} {
		if got := [2]bool{c.f.matches(mail), c.f.matches(report)}; got != [2]bool{c.mail, c.report} {
			t.Errorf("%+v: %v", c.f, got)
		}
	}
}
