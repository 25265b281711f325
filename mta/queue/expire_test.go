package queue

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
)

// wherever brings a message to a place where something can be asked of it, and says its ID.
func wherever(t *testing.T, q *Queue, clk *clocktest.Clock, where string) envelope.QueueID {
	t.Helper()
	ctx := context.Background()
	env := add(t, q, "text\n", "a", "b")
	if where == "queued" {
		return env.ID
	}
	it := take(t, q)
	if where == "active" {
		return env.ID
	}
	must(t, it.Done(0, EffectFinal))
	it.Failed(1, dsn.New(dsn.MailSystem, "not now"))
	must(t, it.Close(ctx, clk.Now().Add(time.Hour), false))
	switch where {
	case "hold":
		must(t, q.Hold(ctx, env.ID))
	case "active from its file":
		n, err := q.FlushIDs(ctx, []envelope.QueueID{env.ID})
		if n != 1 || err != nil {
			t.Fatal(n, err)
		}
		take(t, q)
	}
	return env.ID
}

// TestExpireIsNotForgotten: wherever a message is when it is made to expire, it is that after a power loss
// in the next moment, and keeps it through its next attempts; the second time there is nothing to change.
func TestExpireIsNotForgotten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, where := range []string{"queued", "active", "deferred", "hold", "active from its file"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			d := faultfs.NewDisk()
			o := options(d)
			clk := clocktest.New(time.Unix(1_700_000_000, 0))
			o.Clock = clk
			q := open(t, o)
			id := wherever(t, q, clk, where)
			must(t, q.Expire(ctx, id))
			if err := q.Expire(ctx, id); !errors.Is(err, ErrUnchanged) {
				t.Errorf("again: %v", err)
			}
			crashed := d.Crash()
			closeQueue(t, q)
			for range 3 {
				o.FS = crashed
				q = open(t, o)
				info, _, content, err := q.Get(ctx, id)
				if err != nil || !info.Expired {
					t.Fatalf("%+v %v", info, err)
				}
				must(t, content.Close())
				if where == "hold" && info.Place != Hold {
					t.Errorf("%+v", info)
				}
				if err := q.Release(ctx, id); err != nil && !errors.Is(err, ErrUnchanged) {
					t.Error(err)
				}
				where = ""
				_, err = q.FlushIDs(ctx, []envelope.QueueID{id})
				must(t, err)
				it := take(t, q)
				if !it.Expired() || it.Envelope.ID != id {
					t.Fatalf("%+v", it)
				}
				it.Failed(1, dsn.New(dsn.MailSystem, "no report"))
				must(t, it.Close(ctx, clk.Now().Add(time.Hour), false))
				crashed = crashed.Crash()
				closeQueue(t, q)
			}
		})
	}
}

// TestExpireFailsAndSaysSo: while the disk takes nothing the call fails, and no message is lost by it.
func TestExpireFailsAndSaysSo(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, where := range []string{"active", "deferred", "hold"} {
		f := faultfs.Wrap(faultfs.NewDisk())
		o := options(f)
		clk := clocktest.New(time.Unix(1_700_000_000, 0))
		o.Clock = clk
		q := open(t, o)
		id := wherever(t, q, clk, where)
		f.Hook(func(op faultfs.Op, _ string) error {
			if op == faultfs.Sync {
				return faultfs.EIO
			}
			return nil
		})
		if err := q.Expire(ctx, id); err == nil {
			t.Errorf("%s: the disk failed, and nobody heard of it", where)
		}
		f.Hook(nil)
		if _, _, content, err := q.Get(ctx, id); err != nil {
			t.Errorf("%s: %v", where, err)
		} else {
			must(t, content.Close())
		}
		closeQueue(t, q)
	}
	q := open(t, options(faultfs.NewDisk()))
	defer closeQueue(t, q)
	if err := q.Expire(ctx, q.NewID()); !errors.Is(err, ErrNoMessage) {
		t.Errorf("%v", err)
	}
}

// TestDeletionOfAnActiveMessageIsNotForgotten: after a power loss it does not come back, and what it delivered into
// the store before is there.
func TestDeletionOfAnActiveMessageIsNotForgotten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, where := range []string{"active", "active from its file"} {
		d := faultfs.NewDisk()
		o := options(d)
		clk := clocktest.New(time.Unix(1_700_000_000, 0))
		o.Clock = clk
		settled := 0
		o.Checkpoint = func(context.Context) error { settled++; return nil }
		q := open(t, o)
		id := wherever(t, q, clk, where)
		m, _, _ := q.index.look(id)
		it := &Item{Envelope: m.env, q: q, m: m}
		must(t, it.Done(1, EffectStore))
		if where == "active" {
			it.Failed(0, dsn.New(dsn.MailSystem, "not now"))
		}
		before := settled
		must(t, q.Delete(ctx, id))
		if settled == before {
			t.Errorf("%s: the delivery was not settled", where)
		}
		crashed := d.Crash()
		closeQueue(t, q)
		for range 2 {
			o.FS = crashed
			q = open(t, o)
			if it := tryTake(t, q); it != nil {
				t.Errorf("%s: it is handed out: %v", where, it.Pending())
			}
			crashed = crashed.Crash()
			closeQueue(t, q)
		}
	}
}

// TestGoldenAsked: the record of what was asked for, and a progress that says that a message was made to expire.
func TestGoldenAsked(t *testing.T) {
	t.Parallel()
	env := goldenEnvelope()
	for _, a := range []asked{{env.ID, askedExpire}, {env.ID, askedDelete}} {
		got, err := decodeAsked(goldenFiles.Current(t, fmt.Sprintf("asked-%d", a.what), a.encode())[1:])
		if err != nil || got != a {
			t.Errorf("%+v, %v", got, err)
		}
	}
	s := &progress{attempts: 300, boot: 1<<63 + 5, rcpts: []rcpt{{done: true}, {}}, expired: true}
	got, err := decodeProgress(goldenFiles.Current(t, "expired-2", s.encode()), 2)
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%+v, %v", got, err)
	}
}
