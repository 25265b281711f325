package qmgr

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
)

// trap is a resolver that panics while it is armed.
type trap struct {
	byDomain
	armed *atomic.Bool
	asked *atomic.Int32
}

func (r trap) Resolve(ctx context.Context, from, a addr.Address) (agent.Route, error) {
	r.asked.Add(1)
	if r.armed.Load() {
		panic("no route")
	}
	return r.byDomain.Resolve(ctx, from, a)
}

// TestAPanicDefers: whoever panics about a message, it waits its backoff, is
// tried once then, and nothing of it is lost; the other mail goes on.
func TestAPanicDefers(t *testing.T) {
	t.Parallel()
	t.Run("resolver", func(t *testing.T) {
		t.Parallel()
		trap := trap{armed: &atomic.Bool{}, asked: &atomic.Int32{}}
		trap.armed.Store(true)
		r := start(t, setup{resolver: trap, deliver: all(nil, false)})
		env := r.add("s@example.test", "a@one.test")
		r.awaitDeferred(1)
		r.log.await(t, 1, "panic", "service=resolver", "id="+string(env.ID), "cause=no route")
		r.log.await(t, 1, "attempt", "to=<a@one.test>", "status=deferred", "dsn=4.3.0")
		if n := trap.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		trap.armed.Store(false)
		r.add("s@example.test", "b@one.test")
		r.log.await(t, 1, "removed")
		r.clock.Advance(300 * time.Second)
		r.log.await(t, 2, "removed")
	})
	t.Run("report", func(t *testing.T) {
		t.Parallel()
		r := start(t, setup{deliver: all(dsn.New(dsn.BadDestMailbox, "no"), false)})
		r.reporter.setPanic("no report")
		env := r.add("s@example.test", "a@one.test")
		r.awaitDeferred(1)
		r.log.await(t, 1, "panic", "service=bounce", "id="+string(env.ID), "cause=no report")
		r.reporter.setPanic("")
		r.clock.Advance(300 * time.Second)
		r.log.await(t, 1, "removed")
		if k := r.reporter.kinds(); k != "failure:1" {
			t.Errorf("reports %s", k)
		}
	})
	t.Run("step of our own", func(t *testing.T) {
		t.Parallel()
		r := start(t, setup{deliver: all(nil, false)})
		r.log.panicAt("attempt")
		env := r.add("s@example.test", "a@one.test", "b@down.test")
		r.awaitDeferred(1)
		r.log.await(t, 1, "panic", "service=qmgr", "id="+string(env.ID))
		r.log.panicAt("")
		r.clock.Advance(300 * time.Second)
		r.log.await(t, 1, "attempt", "to=<a@one.test>", "status=sent")
	})
}
