package queue

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
)

// TestABacklogIsNotInMemory: with 20,000 deferred messages a start reads no more than the names, keeps what is due soon and no more than due_limit,
// hands new mail out at once, before what is due, and a flush of all brings each of them up once.
func TestABacklogIsNotInMemory(t *testing.T) {
	t.Parallel()
	const backlog, limit = 20_000, 1000
	ctx := context.Background()
	d := faultfs.NewDisk()
	o := options(d)
	clk := clocktest.New(time.Unix(1_700_000_000, 0))
	o.Clock = clk
	o.Config.DueLimit = limit
	q := open(t, o)
	// The clock stands, so the journal makes no checkpoint by itself.
	tidy := func(i int) {
		if i%500 == 0 {
			must(t, q.disk.ledger.j.Checkpoint(ctx))
			q.removeDeparted(ctx)
		}
	}
	why := dsn.New(dsn.NoAnswer, "connect: Connection refused")
	for i := range backlog {
		must(t, addFrom(ctx, q, "from.test", []string{"a.test", "b.test", "c.test"}[i%3]))
		it := take(t, q)
		it.Failed(0, why)
		closeItem(t, it, clk.Now().Add(time.Hour+time.Duration(i)*time.Millisecond))
		tidy(i)
	}
	closeQueue(t, q)
	f := faultfs.Wrap(d)
	o.FS = f
	var opened atomic.Int64
	f.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.Open && strings.Contains(name, "/deferred/") {
			opened.Add(1)
		}
		return nil
	})
	q = open(t, o)
	defer closeQueue(t, q)
	must(t, q.scan(ctx))
	if n := opened.Load(); n > backlog/20 { // but for those of which the journal has a record still
		t.Errorf("the start opened %d files", n)
	}
	f.Hook(nil)
	counts, err := q.Counts()
	must(t, err)
	if counts[Deferred] != backlog {
		t.Errorf("%v", counts)
	}
	fresh := add(t, q, "new\n", "x")
	if it := take(t, q); it.Envelope.ID != fresh.ID {
		t.Error("new mail waits behind the backlog")
	} else {
		done(t, it, EffectFinal)
	}
	nothing(t, q)
	n, err := q.Flush(ctx, Filter{})
	if n != backlog || err != nil {
		t.Fatal(n, err)
	}
	q.index.mu.Lock()
	known, due := len(q.index.known), len(q.index.due.heap)
	q.index.mu.Unlock()
	if known > 10 || due > limit {
		t.Errorf("%d messages and %d times are in memory", known, due)
	}
	seen := map[envelope.QueueID]bool{}
	for len(seen) < backlog {
		it := tryTake(t, q)
		if it == nil {
			must(t, q.scan(ctx)) // which the queue has asked for
			if it = tryTake(t, q); it == nil {
				t.Fatalf("%d of %d came up", len(seen), backlog)
			}
		}
		if seen[it.Envelope.ID] {
			t.Fatalf("%s comes up twice", it.Envelope.ID)
		}
		seen[it.Envelope.ID] = true
		if len(seen)%1000 == 500 {
			other := add(t, q, "new\n", "x")
			for i := 0; ; i++ {
				next := take(t, q)
				if next.Envelope.ID == other.ID {
					done(t, next, EffectFinal)
					break
				}
				seen[next.Envelope.ID] = true
				done(t, next, EffectFinal)
				if i == 2 {
					t.Fatal("new mail waits behind the backlog")
				}
			}
		}
		done(t, it, EffectFinal)
		tidy(len(seen))
	}
	nothing(t, q)
}
