package cache

import (
	"context"
	"errors"
	"sync"
)

// flights lets one of several callers with the same key do the work. There is
// no goroutine behind it (as in x/sync/singleflight.DoChan): the first caller
// works in its own goroutine and under its own deadline.
type flights[K comparable, V any] struct {
	mu      sync.Mutex
	running map[K]*flight[V]
}

type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
	// abandoned: the worker's own context ended, which says nothing about the
	// answer. Those who waited try again.
	abandoned bool
}

func (f *flights[K, V]) do(ctx context.Context, k K, work func(context.Context) (V, error)) (V, error) {
	for {
		f.mu.Lock()
		running, ok := f.running[k]
		if !ok {
			break
		}
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		case <-running.done:
		}
		if !running.abandoned {
			return running.value, running.err
		}
	}
	mine := &flight[V]{done: make(chan struct{}), abandoned: true}
	f.running[k] = mine
	f.mu.Unlock()
	// Also when work panics: nobody may wait for ever.
	defer func() {
		f.mu.Lock()
		if f.running[k] == mine {
			delete(f.running, k)
		}
		f.mu.Unlock()
		close(mine.done)
	}()
	mine.value, mine.err = work(ctx)
	mine.abandoned = ctx.Err() != nil && errors.Is(mine.err, ctx.Err())
	return mine.value, mine.err
}

// forget lets later callers start anew instead of joining what runs now.
func (f *flights[K, V]) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running = map[K]*flight[V]{}
}
