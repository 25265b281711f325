package cache

import (
	"context"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
)

// Cache implements directory.Directory. Safe for concurrent use.
type Cache struct {
	under directory.Directory

	domains    *question[string, directory.Domain]
	recipients *question[addr.Address, directory.Recipient]
	accounts   *question[string, directory.Account]
}

// New remembers the answers of under.
func New(under directory.Directory, c configs.Directory, clk clock.Clock) *Cache {
	return &Cache{
		under:      under,
		domains:    newQuestion[string, directory.Domain](c, clk),
		recipients: newQuestion[addr.Address, directory.Recipient](c, clk),
		accounts:   newQuestion[string, directory.Account](c, clk),
	}
}

// Domain implements directory.Directory.
func (c *Cache) Domain(ctx context.Context, name string) (directory.Domain, error) {
	if d, err, ok := c.domains.remembered(name); ok {
		return d, err
	}
	return c.domains.ask(ctx, name, func(ctx context.Context) (directory.Domain, error) {
		return c.under.Domain(ctx, name)
	})
}

// Recipient implements directory.Directory. The answer's Targets are shared:
// they must not be changed.
func (c *Cache) Recipient(ctx context.Context, a addr.Address) (directory.Recipient, error) {
	// The key is the address as written, because the answer carries the
	// extension as written. Folding it first would cost an allocation, too.
	if r, err, ok := c.recipients.remembered(a); ok {
		return r, err
	}
	return c.recipients.ask(ctx, a, func(ctx context.Context) (directory.Recipient, error) {
		return c.under.Recipient(ctx, a)
	})
}

// Account implements directory.Directory.
func (c *Cache) Account(ctx context.Context, login string) (directory.Account, error) {
	if a, err, ok := c.accounts.remembered(login); ok {
		return a, err
	}
	return c.accounts.ask(ctx, login, func(ctx context.Context) (directory.Account, error) {
		return c.under.Account(ctx, login)
	})
}

// Invalidate forgets everything. When it returns, no question gets an answer
// that was read before the call, except those that were already waiting.
func (c *Cache) Invalidate() {
	c.domains.clear()
	c.recipients.clear()
	c.accounts.clear()
}

// Len is the number of answers held, expired ones included, for metrics.
func (c *Cache) Len() int {
	return c.domains.len() + c.recipients.len() + c.accounts.len()
}

// question is one of the three, with its memory.
type question[K comparable, V any] struct {
	clock            clock.Clock
	ttl, negativeTTL time.Duration
	found            *Map[K, V]
	missing          *Map[K, error]
	flights          flights[K, V]
}

func newQuestion[K comparable, V any](c configs.Directory, clk clock.Clock) *question[K, V] {
	return &question[K, V]{
		clock: clk, ttl: c.CacheTTL, negativeTTL: c.CacheNegativeTTL,
		found:   NewMap[K, V](c.CacheEntries),
		missing: NewMap[K, error](c.CacheEntries),
		flights: flights[K, V]{running: map[K]*flight[V]{}},
	}
}

// remembered is the answer of k, found or not; ok is false when it must be asked.
func (q *question[K, V]) remembered(k K) (v V, answer error, ok bool) {
	now := q.clock.Now()
	if v, ok := q.found.Get(k, now); ok {
		return v, nil, true
	}
	answer, ok = q.missing.Get(k, now)
	return v, answer, ok
}

func (q *question[K, V]) ask(ctx context.Context, k K, under func(context.Context) (V, error)) (V, error) {
	return q.flights.do(ctx, k, func(ctx context.Context) (V, error) {
		// Another question may have ended since the caller looked.
		if v, err, ok := q.remembered(k); ok {
			return v, err
		}
		foundEpoch, missingEpoch := q.found.Epoch(), q.missing.Epoch()
		now := q.clock.Now()
		v, err := under(ctx)
		switch directory.OutcomeOf(err) {
		case directory.Found:
			q.found.PutSince(k, v, now.Add(q.ttl), foundEpoch)
		case directory.NotFound:
			q.missing.PutSince(k, err, now.Add(q.negativeTTL), missingEpoch)
		}
		return v, err
	})
}

func (q *question[K, V]) clear() {
	q.found.Clear()
	q.missing.Clear()
	// Last: a question that begins between the lines above and here reads its
	// epoch after them and may be remembered.
	q.flights.forget()
}

func (q *question[K, V]) len() int { return q.found.Len() + q.missing.Len() }
