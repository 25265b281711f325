package dns

import (
	"context"
	"time"

	"toastmaster/internal/clock"
)

// flight is a question that is being asked, for all who wait for it. The one who leaves last
// ends it, and waits for its end.
type flight struct {
	waiting int // under Resolver.mu
	cancel  context.CancelFunc
	done    chan struct{}
	reply   *reply
	err     error
}

// answer is the reply of the cache or of the servers.
func (r *core) answer(ctx context.Context, q question) (*reply, error) {
	if got, ok := r.cache.Get(q); ok {
		return got.result(q, r.o.Clock.Now())
	}
	f := r.board(q)
	defer r.leave(q, f)
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, q.fail(NoAnswer, context.Cause(ctx))
	}
	if f.err != nil {
		return nil, q.fail(NoAnswer, f.err)
	}
	return f.reply.result(q, r.o.Clock.Now())
}

// board joins the flight of a question, or begins it.
func (r *core) board(q question) *flight {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.flights[q]; f != nil {
		f.waiting++
		return f
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &flight{waiting: 1, cancel: cancel, done: make(chan struct{})}
	r.flights[q] = f
	go func() {
		defer close(f.done)
		ctx, stop := bounded(ctx, r.o.Clock, r.o.Total)
		defer stop()
		if f.reply, f.err = r.chase(ctx, q); f.err == nil && f.reply.cost() <= maxKept {
			r.cache.Put(q, f.reply, f.reply.expires)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.flights[q] == f {
			delete(r.flights, q)
		}
	}()
	return f
}

func (r *core) leave(q question, f *flight) {
	r.mu.Lock()
	f.waiting--
	last := f.waiting == 0
	if last && r.flights[q] == f {
		delete(r.flights, q) // nobody joins what is being ended
	}
	r.mu.Unlock()
	if last {
		f.cancel()
		<-f.done
	}
}

// bounded is a context that ends after d of the clock; stop frees it, and waits.
func bounded(ctx context.Context, c clock.Clock, d time.Duration) (bounded context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := c.NewTimer(d)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer timer.Stop()
		select {
		case <-timer.C():
			cancel(context.DeadlineExceeded)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil); <-done }
}
