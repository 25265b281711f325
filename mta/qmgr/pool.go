package qmgr

import "sync"

// pool runs functions with a limited number of goroutines, which exist only
// while there is work. Its queue is bounded by the active window, whose
// messages each enter it once.
type pool struct {
	limit int
	wait  *sync.WaitGroup

	mu      sync.Mutex
	queue   []func()
	running int
}

// setLimit changes the number. Goroutines beyond it end when there is nothing to do.
func (p *pool) setLimit(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = n
}

func (p *pool) do(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, f)
	if p.running < p.limit {
		p.running++
		p.wait.Go(p.work)
	}
}

func (p *pool) work() {
	for {
		f := p.take()
		if f == nil {
			return
		}
		f()
	}
}

func (p *pool) take() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		p.running--
		p.queue = nil
		return nil
	}
	f := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return f
}
