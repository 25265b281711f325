package idle

import (
	"sync"
	"time"

	"toastmaster/internal/clock"
)

// Options are what a Pool is made of.
type Options[C any] struct {
	// Limit is how many connections are kept, 0 any number.
	Limit int
	Clock clock.Clock
	// End ends a connection. It may take its time: nobody waits for it but Close and who has
	// put one too many.
	End func(C)
}

// Pool keeps connections. Safe for concurrent use.
type Pool[C any] struct {
	o Options[C]

	mu      sync.Mutex
	kept    []entry[C] // in the order in which they were put
	running bool       // clean
	closed  bool
	// changed tells clean that there is one more.
	changed chan struct{}
	stop    chan struct{}
	done    sync.WaitGroup
}

type entry[C any] struct {
	key   string
	conn  C
	until time.Time
}

// New makes a pool, which is empty.
func New[C any](o Options[C]) *Pool[C] {
	return &Pool[C]{o: o, changed: make(chan struct{}, 1), stop: make(chan struct{})}
}

// Take takes the connection that was put under the key last.
func (p *Pool[C]) Take(key string) (c C, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.o.Clock.Now()
	for i := len(p.kept) - 1; i >= 0; i-- {
		// The time of one that is over has come, and clean is on its way.
		if e := p.kept[i]; e.key == key && e.until.After(now) {
			p.kept = append(p.kept[:i], p.kept[i+1:]...)
			return e.conn, true
		}
	}
	return c, false
}

// Put keeps c under the key for a time, or ends it when that is none or the pool is closed.
func (p *Pool[C]) Put(key string, c C, keep time.Duration) {
	p.mu.Lock()
	if p.closed || keep <= 0 {
		p.mu.Unlock()
		p.o.End(c)
		return
	}
	var first []entry[C]
	if p.o.Limit > 0 && len(p.kept) >= p.o.Limit {
		first = append(first, p.kept[0])
		p.kept = append(p.kept[:0], p.kept[1:]...)
	}
	p.kept = append(p.kept, entry[C]{key, c, p.o.Clock.Now().Add(keep)})
	if !p.running {
		p.running = true
		p.done.Go(p.clean)
	}
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
	p.end(first)
}

func (p *Pool[C]) end(list []entry[C]) {
	for _, e := range list {
		p.o.End(e.conn)
	}
}

// clean ends connections whose time is over until none is left.
func (p *Pool[C]) clean() {
	timer := p.o.Clock.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		over, next, more := p.over()
		p.end(over)
		if !more {
			return
		}
		timer.Reset(next.Sub(p.o.Clock.Now()))
		if !next.After(p.o.Clock.Now()) {
			continue // the clock was set meanwhile, and the timer would not know
		}
		select {
		case <-timer.C():
		case <-p.changed:
		case <-p.stop:
			return
		}
	}
}

// over takes those whose time is over, and says until when the next one has.
func (p *Pool[C]) over() (over []entry[C], next time.Time, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.o.Clock.Now()
	left := p.kept[:0]
	for _, e := range p.kept {
		if !e.until.After(now) {
			over = append(over, e)
			continue
		}
		if len(left) == 0 || e.until.Before(next) {
			next = e.until
		}
		left = append(left, e)
	}
	clear(p.kept[len(left):])
	p.kept = left
	p.running = len(left) > 0
	return over, next, p.running
}

// Close ends all that are kept, and waits until they are ended. What is put later is ended at once.
func (p *Pool[C]) Close() {
	p.mu.Lock()
	all := p.kept
	p.kept = nil
	if !p.closed {
		p.closed = true
		close(p.stop)
	}
	p.mu.Unlock()
	p.done.Wait()
	p.end(all)
}
