package cache

import (
	"context"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/clock"
)

// Cache is a directory.Backend and Walker in front of another back end. Safe for
// concurrent use.
type Cache struct {
	under directory.Backend

	// entries are the questions for one key, by directory.KeyKind.
	entries [directory.KeyKinds]*question[directory.Key, directory.Entry]
	// walks are remembered as a whole: one that was put together from keys read at
	// different times could end with a "not found" that was never true.
	walks *question[directory.Walk, directory.Walked]
}

var _ directory.Walker = (*Cache)(nil)

// Options are what a Cache is made of.
type Options struct {
	Params configs.Directory
	// Under is asked what is not remembered.
	Under directory.Backend
	Clock clock.Clock
}

// New remembers the answers of o.Under.
func New(o Options) *Cache {
	cache := &Cache{under: o.Under, walks: newQuestion[directory.Walk](o.Params, o.Clock, walkOutcome)}
	for i := range cache.entries {
		cache.entries[i] = newQuestion[directory.Key](o.Params, o.Clock, entryOutcome)
	}
	return cache
}

func entryOutcome(_ directory.Entry, err error) directory.Outcome { return directory.OutcomeOf(err) }

// walkOutcome is NotFound for a domain in which nobody has the address. That
// there is no such domain is remembered once, with the domain's key.
func walkOutcome(w directory.Walked, err error) directory.Outcome {
	switch {
	case err != nil:
		return directory.Unavailable
	case w.At == directory.None:
		return directory.NotFound
	}
	return directory.Found
}

// Entry implements directory.Backend. The answer's Targets are shared: they must
// not be changed.
func (c *Cache) Entry(ctx context.Context, key directory.Key) (directory.Entry, error) {
	q := c.entries[key.Kind]
	if e, err, ok := q.remembered(key); ok {
		return e, err
	}
	return q.ask(ctx, key, func(ctx context.Context) (directory.Entry, error) {
		return c.under.Entry(ctx, key)
	})
}

// Walk implements directory.Walker. Its targets are shared, too.
func (c *Cache) Walk(ctx context.Context, w directory.Walk) (directory.Walked, error) {
	if walked, err, ok := c.walks.remembered(w); ok {
		return walked, err
	}
	// A flood of addresses of a domain that is not hosted asks once.
	if err := c.entries[directory.OfDomain].missed(directory.DomainKey(w.Domain)); err != nil {
		return directory.Walked{}, err
	}
	return c.askWalk(ctx, w)
}

// askWalk asks, and remembers the domain beside.
func (c *Cache) askWalk(ctx context.Context, w directory.Walk) (directory.Walked, error) {
	return c.walks.ask(ctx, w, func(ctx context.Context) (directory.Walked, error) {
		domains := c.entries[directory.OfDomain]
		asked := domains.begin()
		walked, err := directory.Ask(ctx, c.under, w)
		domains.keep(directory.DomainKey(w.Domain), directory.Entry{Domain: walked.Domain}, err, asked)
		return walked, err
	})
}

// Invalidate forgets everything. When it returns, no question gets an answer
// that was read before the call, except those that were already waiting.
func (c *Cache) Invalidate() {
	for _, q := range c.entries {
		q.clear()
	}
	c.walks.clear()
}

// Len is the number of answers held, expired ones included, for metrics.
func (c *Cache) Len() int {
	n := c.walks.len()
	for _, q := range c.entries {
		n += q.len()
	}
	return n
}
