package queue

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// TestFailedDeletionIsTriedAgain: a message that is deleted while the journal
// cannot be written is not delivered in place of it, and the log says that it is
// gone when it is.
func TestFailedDeletionIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, moved := range []bool{false, true} {
		d := faultfs.NewDisk()
		f := faultfs.Wrap(d)
		clk := clocktest.New(time.Unix(1_700_000_000, 0))
		var log logLines
		o := options(f)
		o.Clock, o.Log = clk, msglog.New(slog.NewTextHandler(&log, nil))
		o.Config.MoveSegments = 1
		q := open(t, o)
		env := add(t, q, "text\n", "a")
		it := take(t, q)
		must(t, q.Delete(context.Background(), env.ID))
		f.Hook(failing(faultfs.Write, "/queue/journal/"))
		if err := it.Close(context.Background(), time.Time{}, false); err == nil {
			t.Fatal("deleted without a record of it")
		}
		f.Hook(nil)
		if n := log.count("msg=removed"); n != 0 {
			t.Errorf("%d log lines say that it is gone", n)
		}
		if moved {
			clk.Advance(time.Second) // the journal pauses after a failure
			// It may have seen the failure only now.
			for q.Add(context.Background(), testEnvelope(q, "a"), []byte(prefix), q.Spool().New()) != nil {
				clk.Advance(time.Second)
			}
			fillSegments(t, q, 3)
			q.shorten(context.Background())
			if got, _, err := q.disk.files.where(env.ID); got != "" || err != nil || log.count("msg=removed") != 1 {
				t.Errorf("what is in the way of the journal lies in %q %v", got, err)
			}
			for len(strings.Fields(list(t, q, Filter{}))) > 0 {
				done(t, take(t, q), EffectFinal)
			}
		}
		if got := place(t, q, env.ID); got != Deferred && !moved {
			t.Errorf("it is in %q", got)
		}
		// The journal may see the failure only now, and make a new segment: then
		// this try fails too, and the next one comes.
		for tries := 0; tries < 100 && log.count("msg=removed") == 0; tries++ {
			clk.Advance(o.Config.RunDelay)
			nothing(t, q)
		}
		if n := log.count("msg=removed"); n != 1 {
			t.Errorf("%d log lines say that it is gone", n)
		}
		if got := place(t, q, env.ID); got != "" {
			t.Errorf("it is in %q", got)
		}
		crashed := d.Crash()
		closeQueue(t, q)
		q = open(t, options(crashed))
		if got := place(t, q, env.ID); got != "" {
			t.Errorf("after a crash it is in %q", got)
		}
		closeQueue(t, q)
	}
}

// TestRequeueAndInfo at once, of a message that waits in memory; the race
// detector looks.
func TestRequeueAndInfo(t *testing.T) {
	t.Parallel()
	f := faultfs.Wrap(faultfs.NewDisk())
	q := open(t, options(f))
	defer closeQueue(t, q)
	env := add(t, q, "text\n", "a")
	it := take(t, q)
	f.Hook(failing(faultfs.Create, "/queue"))
	if err := it.Close(context.Background(), time.Now().Add(time.Hour), false); err == nil {
		t.Fatal("deferred without a file")
	}
	f.Hook(nil)
	var both sync.WaitGroup
	both.Go(func() {
		for range 20000 {
			_ = q.Requeue(context.Background(), env.ID)
		}
	})
	for range 20000 {
		if _, err := q.messageInfo(it.m); err != nil {
			t.Error(err)
		}
	}
	both.Wait()
	it = take(t, q)
	if it.Flushed.IsZero() {
		t.Error("nobody has asked for a try")
	}
	done(t, it, EffectFinal)
}

// TestOpenThatFailsLeavesNothing: whoever cannot count the files has the
// journal closed again.
func TestOpenThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	f := faultfs.Wrap(faultfs.NewDisk())
	closeQueue(t, open(t, options(f)))
	f.Hook(failing(faultfs.ReadDir, "/queue/deferred"))
	if q, err := Open(context.Background(), options(f)); err == nil {
		closeQueue(t, q)
		t.Fatal("opened")
	}
	f.Hook(nil)
	closeQueue(t, open(t, options(f)))
}

// badClose is a file system on which Close of a file in deferred/ fails once.
type badClose struct {
	vfs.FS
	armed atomic.Bool
}

type badFile struct {
	vfs.File
	fs *badClose
}

func (b *badClose) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := b.FS.OpenFile(name, flag, perm)
	if err != nil || !strings.Contains(name, "/deferred/") {
		return f, err
	}
	return badFile{f, b}, nil
}

func (f badFile) Close() error {
	err := f.File.Close()
	if f.fs.armed.CompareAndSwap(true, false) {
		err = os.ErrInvalid
	}
	return err
}

// TestFailedActivationKeepsNoPin: a file that could not be read to the end does
// not keep the journal from being used again.
func TestFailedActivationKeepsNoPin(t *testing.T) {
	t.Parallel()
	b := &badClose{FS: faultfs.NewDisk()}
	q := open(t, options(b))
	defer closeQueue(t, q)
	env := add(t, q, "text\n", "a")
	it := take(t, q)
	it.Failed(0, dsn.New(dsn.NoAnswer, "no"))
	closeItem(t, it, time.Now().Add(time.Hour))
	b.armed.Store(true)
	flush(t, q)
	nothing(t, q)
	if b.armed.Load() {
		t.Fatal("the file was not read")
	}
	flush(t, q)
	if it = take(t, q); it.Envelope.ID != env.ID {
		t.Errorf("handed out %s", it.Envelope.ID)
	}
	done(t, it, EffectFinal)
	oldest := q.disk.ledger.j.Usage().Oldest
	for q.disk.ledger.j.Usage().Segments < 3 {
		add(t, q, strings.Repeat("x", 5000)+"\n", "a")
		done(t, take(t, q), EffectFinal)
	}
	must(t, q.disk.ledger.j.Checkpoint(context.Background()))
	q.removeDeparted(context.Background())
	must(t, q.disk.ledger.j.Checkpoint(context.Background()))
	if got := q.disk.ledger.j.Usage().Oldest; got == oldest {
		t.Errorf("segment %d is still in use", got)
	}
}

// TestEndOfAnAttemptAndRelocation of one message at once; the race detector looks,
// and the message is not lost.
func TestEndOfAnAttemptAndRelocation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options(faultfs.NewDisk())
		o.Config.RunDelay = time.Millisecond
		q := open(t, o)
		defer closeQueue(t, q)
		const n = 20
		for range n {
			add(t, q, "text\n", "a")
		}
		for i := range n {
			it := take(t, q)
			var both sync.WaitGroup
			both.Go(func() {
				if err := q.relocate(context.Background(), it.m); err != nil {
					t.Error(err)
				}
			})
			both.Go(func() { closeItem(t, it, time.Now().Add(time.Duration(i%2)*time.Hour)) })
			both.Wait()
		}
		flush(t, q)
		must(t, q.scan(context.Background()))
		for range n {
			done(t, take(t, q), EffectFinal)
		}
		nothing(t, q)
	})
}

func flush(t *testing.T, q *Queue) {
	t.Helper()
	_, err := q.Flush(context.Background(), Filter{})
	must(t, err)
}

// TestAPanicOfCloseKeepsTheMessage: whatever goes wrong while a message leaves,
// it is not active until the next start.
func TestAPanicOfCloseKeepsTheMessage(t *testing.T) {
	t.Parallel()
	for name, deleted := range map[string]bool{"done": false, "deleted": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := clocktest.New(time.Unix(1_700_000_000, 0))
			o := options(faultfs.NewDisk())
			o.Clock = clk
			q := open(t, o)
			defer closeQueue(t, q)
			env := add(t, q, "text\n", "a")
			it := take(t, q)
			if deleted {
				must(t, q.Delete(context.Background(), env.ID))
			} else {
				must(t, it.Done(0, EffectFinal))
			}
			q.disk.budget.unseat(it.m.seat)
			it.m.seat = new(seat) // nobody's: to give it back panics
			if err := it.Close(context.Background(), time.Time{}, false); err == nil {
				t.Fatal("the panic is no error")
			}
			if got := place(t, q, env.ID); got != Deferred {
				t.Errorf("it is in %q", got)
			}
			clk.Advance(o.Config.RunDelay)
			if deleted {
				nothing(t, q)
			} else if it = take(t, q); len(it.Pending()) > 0 {
				t.Errorf("pending again: %v", it.Pending())
			} else {
				closeItem(t, it, time.Time{})
			}
			if got := place(t, q, env.ID); got != "" {
				t.Errorf("it is in %q", got)
			}
		})
	}
}
