package queue

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/internal/testkit/faultfs"
)

// TestActiveMessagesKeepToTheBudget: text that was read back is counted in
// queue.content_memory or not kept, and is there all the same.
func TestActiveMessagesKeepToTheBudget(t *testing.T) {
	t.Parallel()
	const n = 50
	for _, budget := range []int64{0, 20 << 10, 1 << 30} {
		o := options(faultfs.NewDisk())
		o.Config.ContentMemory = budget
		q := open(t, o)
		body := func(i int) string { return fmt.Sprint(i, strings.Repeat("x", 2000), "\n") }
		for i := range n {
			add(t, q, body(i), "a")
		}
		var items []*Item
		for range n {
			items = append(items, take(t, q))
		}
		held := heldText(items)
		if held > budget || budget > n*3000 && held < n*2000 {
			t.Errorf("%d octets of text in memory, the budget is %d", held, budget)
		}
		for i, it := range items {
			if got := text(t, it); got != prefix+body(i) {
				t.Fatalf("message %d: %q", i, got)
			}
		}
		if after := heldText(items); after != held {
			t.Errorf("%d octets after they were read", after)
		}
		for i, it := range items {
			if i%2 == 0 {
				closeItem(t, it, time.Time{}) // due at once: it stays in the journal
				continue
			}
			done(t, it, EffectFinal)
		}
		for range n / 2 {
			done(t, take(t, q), EffectFinal)
		}
		if got := q.disk.budget.octets.Load(); got != budget {
			t.Errorf("%d of the budget of %d left when all are gone", got, budget)
		}
		closeQueue(t, q)
	}
}

func heldText(items []*Item) (n int64) {
	for _, it := range items {
		it.m.mu.Lock()
		n += int64(len(it.m.text))
		it.m.mu.Unlock()
	}
	return n
}

// TestWaitingMessagesKeepToTheBudget: neither does a message that waits in the
// journal keep what it was read back for.
func TestWaitingMessagesKeepToTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := faultfs.Wrap(faultfs.NewDisk())
		o := options(f)
		o.Config.ContentMemory = 0
		q := open(t, o)
		defer closeQueue(t, q)
		add(t, q, "text\n", "a")
		it := take(t, q)
		closeItem(t, it, time.Time{})
		if it.m.env != nil {
			t.Error("one that is due at once keeps its envelope")
		}
		it = take(t, q)
		f.Hook(failing(faultfs.Create, "/queue"))
		if err := it.Close(context.Background(), time.Now(), false); err != nil {
			t.Fatal(err) // due at once, so nothing was written
		}
		it = take(t, q)
		if err := it.Close(context.Background(), time.Now().Add(20*time.Millisecond), false); err == nil {
			t.Fatal("deferred without a file")
		}
		if it.m.env != nil {
			t.Error("one that cannot be deferred keeps its envelope")
		}
		f.Hook(nil)
		it = take(t, q)
		if got := text(t, it); got != prefix+"text\n" {
			t.Errorf("%q", got)
		}
		done(t, it, EffectFinal)
	})
}

// failing makes operations of a kind fail on names that begin with prefix.
func failing(op faultfs.Op, prefix string) func(faultfs.Op, string) error {
	return func(o faultfs.Op, name string) error {
		if o == op && strings.HasPrefix(name, prefix) {
			return faultfs.EIO
		}
		return nil
	}
}
