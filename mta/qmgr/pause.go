package qmgr

import (
	"context"
	"time"

	"toastmaster/internal/fifo"
)

// pause lets destinations rest for a time, all for the same, so that they wake in the order
// in which they went to rest. The transport's lock guards it; nil in the list is the transport
// itself.
type pause struct {
	delay   time.Duration
	list    fifo.List[rest]
	running bool
	wake    func(*destination)
}

type rest struct {
	d     *destination
	until time.Time
}

// rest lets d rest, and sees that it is woken. Called with the lock held.
func (t *transport) rest(p *pause, d *destination) {
	p.list.Push(rest{d, t.manager.o.Clock.Now().Add(p.delay)})
	if !p.running {
		p.running = true
		t.manager.workers.Go(func() { t.wake(t.manager.ctx, p) })
	}
}

// wake wakes who has rested, until nobody rests. At the end of ctx what waits is counted
// off.
func (t *transport) wake(ctx context.Context, p *pause) {
	for {
		t.mu.Lock()
		r, ok := p.list.Pop()
		p.running = ok
		longest := p.delay
		t.mu.Unlock()
		if !ok {
			return
		}
		// Set back, the clock makes nobody rest longer.
		timer := t.manager.o.Clock.NewTimer(min(r.until.Sub(t.manager.o.Clock.Now()), longest))
		select {
		case <-timer.C():
			t.mu.Lock()
			p.wake(r.d)
			t.hire()
			t.mu.Unlock()
		case <-ctx.Done():
			timer.Stop()
			t.mu.Lock()
			p.running = false
			t.mu.Unlock()
			t.abandon()
			return
		}
	}
}
