package queue

import (
	"context"
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
)

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
			it := next(t, q)
			if c.first != nil {
				must(t, c.first(q, it))
			}
			it.Failed(0, dsn.New(dsn.MailSystem, "not now"))
			asked := false
			f.Hook(func(op faultfs.Op, _ string) error {
				if op == faultfs.Chtimes && !asked {
					asked = true
					if err := c.ask(q, it); err != nil {
						t.Errorf("%v", err)
					}
				}
				return nil
			})
			must(t, it.Close(ctx, clk.Now().Add(time.Hour), false))
			f.Hook(nil)
			if !asked {
				t.Fatal("no file was written")
			}
			if c.want == "" || !c.due {
				nothing(t, q)
			} else {
				it = next(t, q)
				closeItem(t, it, clk.Now().Add(time.Hour))
			}
			if got := place(t, q, env.ID); got != c.want {
				t.Errorf("it is in %q", got)
			}
		})
	}
}
