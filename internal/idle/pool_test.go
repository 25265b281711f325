package idle

import (
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/internal/clock"
	"toastmaster/internal/testkit/clocktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ended collects what was ended.
type ended struct {
	mu  sync.Mutex
	all []int
	one chan int
}

func (e *ended) end(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, n)
	if e.one != nil {
		e.one <- n
	}
}

func (e *ended) want(t *testing.T, want ...int) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.all, want) {
		t.Errorf("ended %v, want %v", e.all, want)
	}
}

func take(t *testing.T, p *Pool[int], key string, want int) {
	t.Helper()
	if got, ok := p.Take(key); got != want || ok != (want != 0) {
		t.Errorf("%s: %d %v, want %d", key, got, ok, want)
	}
}

// TestLastFirst: the last that was put is taken first, each once, and only under its key.
func TestLastFirst(t *testing.T) {
	t.Parallel()
	var e ended
	p := New(Options[int]{Clock: clocktest.New(time.Unix(1e9, 0)), End: e.end})
	for i, key := range []string{"a", "b", "a", "a"} {
		p.Put(key, i+1, time.Minute)
	}
	take(t, p, "a", 4)
	take(t, p, "a", 3)
	take(t, p, "c", 0)
	take(t, p, "b", 2)
	take(t, p, "b", 0)
	p.Put("a", 5, 0) // not at all
	p.Close()
	e.want(t, 5, 1)
	p.Put("a", 6, time.Minute)
	take(t, p, "a", 0)
	e.want(t, 5, 1, 6)
}

// TestTimeIsOver: each ends when its own time is over, one with a shorter time that was put later, too.
func TestTimeIsOver(t *testing.T) {
	t.Parallel()
	c := clocktest.New(time.Unix(1e9, 0))
	e := ended{one: make(chan int, 10)}
	p := New(Options[int]{Clock: c, End: e.end})
	t.Cleanup(p.Close)
	p.Put("a", 1, time.Hour)
	p.Put("a", 2, time.Minute)
	p.Put("b", 3, 2*time.Minute)
	for _, want := range []int{2, 3, 1} {
		step := map[int]time.Duration{2: time.Minute, 3: time.Minute, 1: 58 * time.Minute}[want]
		c.Advance(step - time.Second)
		select {
		case n := <-e.one:
			t.Fatalf("%d ended too early", n)
		default:
		}
		c.Advance(time.Second)
		if n := <-e.one; n != want {
			t.Errorf("%d ended, want %d", n, want)
		}
	}
	// Whose time is over is nobody's, although it was not ended yet.
	p.Put("a", 4, time.Minute)
	c.Advance(time.Minute)
	take(t, p, "a", 0)
	<-e.one
}

// TestLimit: the oldest makes room.
func TestLimit(t *testing.T) {
	t.Parallel()
	var e ended
	p := New(Options[int]{Limit: 2, Clock: clocktest.New(time.Unix(1e9, 0)), End: e.end})
	for i := range 4 {
		p.Put("a", i+1, time.Hour)
	}
	e.want(t, 1, 2)
	p.Close()
	e.want(t, 1, 2, 3, 4)
}

// TestManyAtOnce: nothing is lost, nor ended twice.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const users, rounds = 8, 300
	var e ended
	p := New(Options[int]{Limit: 5, Clock: clock.System{}, End: e.end})
	var wg sync.WaitGroup
	for u := range users {
		wg.Go(func() {
			for r := range rounds {
				n, ok := p.Take("a")
				if !ok {
					n = u*rounds + r + 1
				}
				p.Put("a", n, time.Duration(r%3)*time.Millisecond/2)
			}
		})
	}
	wg.Wait()
	p.Close()
	seen := map[int]bool{}
	for _, n := range e.all {
		if seen[n] {
			t.Fatalf("%d ended twice", n)
		}
		seen[n] = true
	}
	if _, ok := p.Take("a"); ok || len(seen) == 0 {
		t.Error("one is left")
	}
}
