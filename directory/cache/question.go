package cache

import (
	"context"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/clock"
	"toastmaster/internal/ttl"
)

// question is one kind of question, with its memory.
type question[K comparable, V any] struct {
	clock              clock.Clock
	life, negativeLife time.Duration
	// outcome says whether an answer is kept, and where.
	outcome func(V, error) directory.Outcome
	found   *ttl.Map[K, V]
	missing *ttl.Map[K, answer[V]]
	flights flights[K, V]
}

// answer is one of "not found".
type answer[V any] struct {
	value V
	err   error
}

func newQuestion[K comparable, V any](c configs.Directory, clk clock.Clock, outcome func(V, error) directory.Outcome) *question[K, V] {
	return &question[K, V]{
		clock: clk, life: c.CacheTTL, negativeLife: c.CacheNegativeTTL, outcome: outcome,
		found:   ttl.NewMap[K, V](c.CacheEntries, clk),
		missing: ttl.NewMap[K, answer[V]](c.CacheEntries, clk),
		flights: flights[K, V]{running: map[K]*flight[V]{}},
	}
}

// remembered is the answer of k, found or not; ok is false when it must be asked.
func (q *question[K, V]) remembered(k K) (v V, err error, ok bool) {
	if v, ok := q.found.Get(k); ok {
		return v, nil, true
	}
	a, ok := q.missing.Get(k)
	return a.value, a.err, ok
}

// missed is the error of k when that is remembered to be missing.
func (q *question[K, V]) missed(k K) error {
	a, _ := q.missing.Get(k)
	return a.err
}

func (q *question[K, V]) ask(ctx context.Context, k K, under func(context.Context) (V, error)) (V, error) {
	return q.flights.do(ctx, k, func(ctx context.Context) (V, error) {
		// Another question may have ended since the caller looked.
		if v, err, ok := q.remembered(k); ok {
			return v, err
		}
		asked := q.begin()
		v, err := under(ctx)
		q.keep(k, v, err, asked)
		return v, err
	})
}

// moment is when somebody began to ask.
type moment struct {
	at             time.Time
	found, missing uint64 // the epochs
}

func (q *question[K, V]) begin() moment {
	return moment{at: q.clock.Now(), found: q.found.Epoch(), missing: q.missing.Epoch()}
}

// keep remembers what was asked at a moment, unless it is a failure or all was
// forgotten since.
func (q *question[K, V]) keep(k K, v V, err error, asked moment) {
	switch q.outcome(v, err) {
	case directory.Found:
		q.found.PutSince(k, v, asked.at.Add(q.life), asked.found)
	case directory.NotFound:
		q.missing.PutSince(k, answer[V]{v, err}, asked.at.Add(q.negativeLife), asked.missing)
	}
}

func (q *question[K, V]) clear() {
	q.found.Clear()
	q.missing.Clear()
	// Last: a question that begins between the lines above and here reads its
	// epoch after them and may be remembered.
	q.flights.forget()
}

func (q *question[K, V]) len() int { return q.found.Len() + q.missing.Len() }
