package smtp

import (
	"sync"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/service"
)

// cache keeps idle sessions for the next message to the same nexthop. A
// goroutine that closes the old ones exists only while there are any.
type cache struct {
	clock clock.Clock
	limit int
	keep  time.Duration

	mu      sync.Mutex
	idle    []idleSession // oldest first
	janitor bool
	closed  bool
	stop    chan struct{}
	done    sync.WaitGroup
}

type idleSession struct {
	nexthop string
	session *session
	until   time.Time
}

func newCache(c clock.Clock, limit int, keep time.Duration) *cache {
	return &cache{clock: c, limit: limit, keep: keep, stop: make(chan struct{})}
}

// take returns the session used last, which is the likeliest to be alive.
func (c *cache) take(nexthop string) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.idle) - 1; i >= 0; i-- {
		if e := c.idle[i]; e.nexthop == nexthop {
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			return e.session
		}
	}
	return nil
}

// put keeps s or ends it.
func (c *cache) put(nexthop string, s *session) {
	var evicted *session
	c.mu.Lock()
	switch {
	case c.closed || c.limit == 0 || c.keep == 0:
		evicted = s
	default:
		if len(c.idle) >= c.limit {
			evicted = c.idle[0].session
			c.idle = append(c.idle[:0], c.idle[1:]...)
		}
		c.idle = append(c.idle, idleSession{nexthop, s, c.clock.Now().Add(c.keep)})
		if !c.janitor {
			c.janitor = true
			c.done.Go(c.clean)
		}
	}
	c.mu.Unlock()
	if evicted != nil {
		evicted.quit()
	}
}

// clean ends sessions whose time is over until none is left.
func (c *cache) clean() {
	timer := c.clock.NewTimer(c.keep)
	defer timer.Stop()
	for {
		select {
		case <-timer.C():
		case <-c.stop:
			return
		}
		old, next, more := c.expired()
		for _, s := range old {
			// Who it belonged to has his result; a panic loses only the QUIT.
			_ = service.Fenced(s.agent.log, func() error {
				s.quit()
				return nil
			}, "service", "smtp")
		}
		if !more {
			return
		}
		timer.Reset(next)
	}
}

func (c *cache) expired() (old []*session, next time.Duration, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	for len(c.idle) > 0 && !c.idle[0].until.After(now) {
		old = append(old, c.idle[0].session)
		c.idle = append(c.idle[:0], c.idle[1:]...)
	}
	if len(c.idle) == 0 {
		c.janitor = false
		return old, 0, false
	}
	return old, c.idle[0].until.Sub(now), true
}

// close ends all sessions and waits for the janitor.
func (c *cache) close() {
	c.mu.Lock()
	all := c.idle
	c.idle = nil
	if !c.closed {
		c.closed = true
		close(c.stop)
	}
	c.mu.Unlock()
	c.done.Wait()
	for _, e := range all {
		e.session.quit()
	}
}
