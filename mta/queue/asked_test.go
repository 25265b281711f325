package queue

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
)

// askNoted makes a call while the disk is at work on its message, and returns when it is noted: it waits for the disk.
func askNoted(q *Queue, id envelope.QueueID, call func() error) chan error {
	_, before, _ := q.index.look(id)
	answer := make(chan error, 1)
	go func() { answer <- call() }()
	for {
		if _, now, _ := q.index.look(id); now != before {
			return answer
		}
		runtime.Gosched()
	}
}

// TestAskedForWhileAFileIsWritten: what an operator asks for in the moment in
// which a message gets its file is done.
func TestAskedForWhileAFileIsWritten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]struct {
		first, ask func(q *Queue, it *Item) error
		want       Place
		due        bool
	}{
		"hold":              {nil, func(q *Queue, it *Item) error { return q.Hold(ctx, it.Envelope.ID) }, Hold, false},
		"requeue":           {nil, func(q *Queue, it *Item) error { return q.Requeue(ctx, it.Envelope.ID) }, Deferred, true},
		"delete":            {nil, func(q *Queue, it *Item) error { return q.Delete(ctx, it.Envelope.ID) }, "", false},
		"release of a hold": {func(q *Queue, it *Item) error { return q.Hold(ctx, it.Envelope.ID) }, func(q *Queue, it *Item) error { return q.Release(ctx, it.Envelope.ID) }, Deferred, true},
		"requeue of a hold": {func(q *Queue, it *Item) error { return q.Hold(ctx, it.Envelope.ID) }, func(q *Queue, it *Item) error { return q.Requeue(ctx, it.Envelope.ID) }, Deferred, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := faultfs.Wrap(faultfs.NewDisk())
			clk := clocktest.New(time.Unix(1_700_000_000, 0))
			o := options(f)
			o.Clock = clk
			q := open(t, o)
			defer closeQueue(t, q)
			env := add(t, q, "text\n", "a")
			it := take(t, q)
			if c.first != nil {
				must(t, c.first(q, it))
			}
			it.Failed(0, dsn.New(dsn.MailSystem, "not now"))
			asked, answer := false, make(chan error, 1)
			f.Hook(func(op faultfs.Op, _ string) error {
				if op == faultfs.Chtimes && !asked {
					asked = true
					answer = askNoted(q, it.Envelope.ID, func() error { return c.ask(q, it) })
				}
				return nil
			})
			must(t, it.Close(ctx, clk.Now().Add(time.Hour), false))
			if !asked {
				t.Fatal("no file was written")
			}
			if err := <-answer; err != nil {
				t.Error(err)
			}
			f.Hook(nil)
			if c.want == "" || !c.due {
				nothing(t, q)
			} else {
				it = take(t, q)
				closeItem(t, it, clk.Now().Add(time.Hour))
			}
			if got := place(t, q, env.ID); got != c.want {
				t.Errorf("it is in %q", got)
			}
		})
	}
}

// TestAnAskedForHoldOutlivesTheDisk: a hold that could not be carried out when the
// attempt ended is neither forgotten nor overtaken by the next attempt, also when
// the message is moved out of the journal meanwhile.
func TestAnAskedForHoldOutlivesTheDisk(t *testing.T) {
	t.Parallel()
	for name, moved := range map[string]bool{"waits in the journal": false, "moved to a file": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := faultfs.Wrap(faultfs.NewDisk())
			clk := clocktest.New(time.Unix(1_700_000_000, 0))
			o := options(f)
			o.Clock = clk
			o.Config.MoveSegments = 1
			q := open(t, o)
			defer closeQueue(t, q)
			env := add(t, q, "text\n", "a")
			it := take(t, q)
			it.Failed(0, dsn.New(dsn.MailSystem, "not now"))
			f.Hook(func(op faultfs.Op, name string) error {
				if op == faultfs.Create && !strings.Contains(name, "/journal") {
					return faultfs.EIO
				}
				return nil
			})
			if err := q.Hold(t.Context(), env.ID); err == nil {
				t.Fatal("held durably without a file")
			}
			if err := it.Close(t.Context(), clk.Now().Add(time.Minute), false); err == nil {
				t.Fatal("held without a file")
			}
			f.Hook(nil)
			if moved {
				fillSegments(t, q, 3)
				q.shorten(t.Context())
			}
			clk.Advance(o.Config.RunDelay + time.Minute)
			must(t, q.scan(t.Context()))
			for it := tryTake(t, q); it != nil; it = tryTake(t, q) {
				if it.Envelope.ID == env.ID {
					t.Fatal("handed out in spite of the hold")
				}
				done(t, it, EffectFinal)
			}
			if got := place(t, q, env.ID); got != Hold {
				t.Errorf("it is in %q", got)
			}
		})
	}
}

// TestAskedForWhileAFileIsRead: what an operator asks for while a deferred message
// is read for its next attempt is done, also when it cannot be read.
func TestAskedForWhileAFileIsRead(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]struct {
		ask  func(q *Queue, id envelope.QueueID) error
		want Place
	}{
		"hold":   {func(q *Queue, id envelope.QueueID) error { return q.Hold(ctx, id) }, Hold},
		"delete": {func(q *Queue, id envelope.QueueID) error { return q.Delete(ctx, id) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := faultfs.Wrap(faultfs.NewDisk())
			clk := clocktest.New(time.Unix(1_700_000_000, 0))
			o := options(f)
			o.Clock = clk
			q := open(t, o)
			defer closeQueue(t, q)
			env := add(t, q, "text\n", "a")
			it := take(t, q)
			it.Failed(0, dsn.New(dsn.MailSystem, "not now"))
			must(t, it.Close(ctx, clk.Now().Add(time.Hour), false))
			clk.Advance(time.Hour)
			must(t, q.scan(ctx))
			asked, answer := false, make(chan error, 1)
			f.Hook(func(op faultfs.Op, name string) error {
				if op != faultfs.Open || asked || !strings.Contains(name, "/deferred/") {
					return nil
				}
				asked = true
				answer = askNoted(q, env.ID, func() error { return c.ask(q, env.ID) })
				return faultfs.EIO
			})
			nothing(t, q)
			if !asked {
				t.Fatal("the file was not read")
			}
			if err := <-answer; err != nil {
				t.Error(err)
			}
			f.Hook(nil)
			for range 2 {
				clk.Advance(o.Config.RunDelay)
				must(t, q.scan(ctx))
				nothing(t, q)
			}
			if got := place(t, q, env.ID); got != c.want {
				t.Errorf("it is in %q", got)
			}
		})
	}
}

// TestAHoldIsNotOvertaken: whoever was told that an active message will be held
// does not see it handed out again, at whatever moment of the end of the attempt
// he asked.
func TestAHoldIsNotOvertaken(t *testing.T) {
	t.Parallel()
	q := open(t, options(faultfs.NewDisk()))
	defer closeQueue(t, q)
	for range 300 {
		env := add(t, q, "text\n", "a")
		it := take(t, q)
		asked := make(chan error, 1)
		go func() { asked <- q.Hold(context.Background(), env.ID) }()
		closeItem(t, it, time.Time{}) // due at once: it goes back to the others
		must(t, <-asked)
		nothing(t, q)
		if got := place(t, q, env.ID); got != Hold {
			t.Fatalf("it is in %q", got)
		}
	}
}

// TestACallWaitsForAnother: two operators, or two jobs, ask for something about one message. Who comes
// while the file of it is looked for, or removed, hears what becomes of his call, and not that he may
// try again.
func TestACallWaitsForAnother(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]struct {
		at            faultfs.Op
		first, second func(q *Queue, id envelope.QueueID) error
		want          error
		place         Place
	}{
		"a hold while its file is looked for": {faultfs.Stat, func(q *Queue, id envelope.QueueID) error { return q.Hold(ctx, id) }, func(q *Queue, id envelope.QueueID) error { return q.Hold(ctx, id) }, ErrUnchanged, Hold},
		"a release":                           {faultfs.Stat, func(q *Queue, id envelope.QueueID) error { return q.Hold(ctx, id) }, func(q *Queue, id envelope.QueueID) error { return q.Release(ctx, id) }, nil, Deferred},
		"a deletion":                          {faultfs.Stat, func(q *Queue, id envelope.QueueID) error { return q.Hold(ctx, id) }, func(q *Queue, id envelope.QueueID) error { return q.Delete(ctx, id) }, nil, ""},
		"a hold while it is removed":          {faultfs.Remove, func(q *Queue, id envelope.QueueID) error { return q.Delete(ctx, id) }, func(q *Queue, id envelope.QueueID) error { return q.Hold(ctx, id) }, ErrNoMessage, ""},
		"a requeue while it is removed":       {faultfs.Remove, func(q *Queue, id envelope.QueueID) error { return q.Delete(ctx, id) }, func(q *Queue, id envelope.QueueID) error { return q.Requeue(ctx, id) }, ErrNoMessage, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := faultfs.Wrap(faultfs.NewDisk())
				q := open(t, options(f))
				defer closeQueue(t, q)
				id := add(t, q, "text\n", "a").ID
				must(t, take(t, q).Close(ctx, q.o.Clock.Now().Add(24*time.Hour), false))
				second := make(chan error, 1)
				asked := false
				f.Hook(func(op faultfs.Op, _ string) error {
					if op == c.at && !asked {
						asked = true
						go func() { second <- c.second(q, id) }()
						synctest.Wait()
					}
					return nil
				})
				must(t, c.first(q, id))
				if err := <-second; !errors.Is(err, c.want) {
					t.Errorf("the second call: %v, want %v", err, c.want)
				}
				f.Hook(nil)
				if place, _, err := q.disk.files.where(id); err != nil || place != c.place {
					t.Errorf("it lies in %q, want %q, %v", place, c.place, err)
				}
				ended, cancel := context.WithCancel(ctx)
				cancel()
				f.Hook(func(op faultfs.Op, _ string) error {
					if op == faultfs.Stat {
						if err := q.Hold(ended, id); !errors.Is(err, errBusy) {
							t.Errorf("who does not wait: %v", err)
						}
					}
					return nil
				})
				_ = q.Hold(ctx, id)
				f.Hook(nil)
			})
		})
	}
}
