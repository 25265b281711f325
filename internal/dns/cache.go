package dns

import (
	"container/list"
	"sync"

	"toastmaster/internal/clock"
)

// cache keeps answers for their time. The front of order is what was asked for last.
type cache struct {
	limit int
	clock clock.Clock

	mu    sync.Mutex
	found map[question]*list.Element
	order list.List
}

type cached struct {
	question question
	reply    *reply
}

func newCache(limit int, c clock.Clock) *cache {
	return &cache{limit: limit, clock: c, found: map[question]*list.Element{}}
}

// get is nil when there is nothing, or nothing any more.
func (c *cache) get(q question) *reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.found[q]
	if at == nil {
		return nil
	}
	kept := at.Value.(cached)
	if !kept.reply.expires.After(c.clock.Now()) {
		c.drop(at)
		return nil
	}
	c.order.MoveToFront(at)
	return kept.reply
}

func (c *cache) put(q question, a *reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.found[q]; at != nil {
		c.drop(at)
	}
	if c.limit == 0 || !a.expires.After(c.clock.Now()) {
		return
	}
	for c.order.Len() >= c.limit {
		c.drop(c.order.Back())
	}
	c.found[q] = c.order.PushFront(cached{q, a})
}

func (c *cache) drop(at *list.Element) {
	delete(c.found, at.Value.(cached).question)
	c.order.Remove(at)
}
