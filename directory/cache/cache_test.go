package cache_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/cache"
	"toastmaster/directory/static"
	"toastmaster/directory/tabletest"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/testkit/clocktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Unix(1000, 0)

// counting is a back end that counts questions and can be switched.
type counting struct {
	asked atomic.Int64
	mu    sync.Mutex
	under directory.Backend
	gate  func(ctx context.Context)
}

var _ directory.Walker = (*counting)(nil)

func (c *counting) begin() (directory.Backend, func(context.Context)) {
	c.asked.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.under, c.gate
}

func (c *counting) Entry(ctx context.Context, key directory.Key) (directory.Entry, error) {
	under, gate := c.begin()
	e, err := under.Entry(ctx, key)
	if gate != nil {
		gate(ctx)
	}
	return e, err
}

func (c *counting) Walk(ctx context.Context, w directory.Walk) (directory.Walked, error) {
	under, gate := c.begin()
	walked, err := directory.Ask(ctx, under, w)
	if gate != nil {
		gate(ctx)
	}
	return walked, err
}

func (c *counting) become(b directory.Backend, gate func(context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.under, c.gate = b, gate
}

func healthy(t testing.TB, data static.Data) directory.Backend {
	t.Helper()
	d, err := static.NewTable(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func params() configs.Directory { return configs.Default().Directory }

func subject(t testing.TB) (*cache.Cache, *counting, *clocktest.Clock) {
	under := &counting{under: healthy(t, tabletest.Data())}
	clk := clocktest.New(start)
	return cache.New(cache.Options{Under: under, Params: params(), Clock: clk}), under, clk
}

var (
	alice  = addr.Address{Local: "alice", Domain: "example.test"}
	nobody = addr.Address{Local: "nobody", Domain: "example.test"}
)

func ask(t testing.TB, b directory.Backend, a addr.Address, want directory.Outcome) {
	t.Helper()
	_, err := directory.New(b, "+").Recipient(context.Background(), a)
	if got := directory.OutcomeOf(err); got != want {
		t.Errorf("%s: %s, want %s", a, got, want)
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	tabletest.Run(t, tabletest.Subject{
		Healthy: func(t *testing.T, data static.Data) directory.Backend {
			return cache.New(cache.Options{Under: healthy(t, data), Params: params(), Clock: clock.System{}})
		},
		Failing: func(_ *testing.T, outcome directory.Outcome) directory.Backend {
			return cache.New(cache.Options{Under: static.Broken{Outcome: outcome}, Params: params(), Clock: clock.System{}})
		},
	})
}

func TestFoundAndMissingAreRemembered(t *testing.T) {
	t.Parallel()
	c, under, clk := subject(t)
	for range 3 {
		ask(t, c, alice, directory.Found)
		ask(t, c, nobody, directory.NotFound)
	}
	if n := under.asked.Load(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
	clk.Advance(params().CacheNegativeTTL)
	ask(t, c, alice, directory.Found)
	ask(t, c, nobody, directory.NotFound)
	if n := under.asked.Load(); n != 3 {
		t.Errorf("after the negative TTL asked %d times, want 3", n)
	}
	clk.Advance(params().CacheTTL)
	ask(t, c, alice, directory.Found)
	if n := under.asked.Load(); n != 4 {
		t.Errorf("after the TTL asked %d times, want 4", n)
	}
}

func TestFailuresAreNotRemembered(t *testing.T) {
	t.Parallel()
	for _, outcome := range []directory.Outcome{directory.Unavailable, directory.Misconfigured} {
		c, under, clk := subject(t)
		good := under.under
		ask(t, c, alice, directory.Found)
		under.become(static.Broken{Outcome: outcome}, nil)
		ask(t, c, alice, directory.Found) // remembered: mail goes on
		ask(t, c, nobody, outcome)
		ask(t, c, nobody, outcome)
		if n := under.asked.Load(); n != 3 {
			t.Errorf("asked %d times, want 3", n)
		}
		clk.Advance(params().CacheTTL)
		ask(t, c, alice, outcome)
		under.become(good, nil)
		ask(t, c, alice, directory.Found)
		ask(t, c, nobody, directory.NotFound)
	}
}

func TestInvalidate(t *testing.T) {
	t.Parallel()
	c, under, _ := subject(t)
	ask(t, c, alice, directory.Found)
	ask(t, c, nobody, directory.NotFound)
	data := tabletest.Data()
	data.Accounts = append(data.Accounts[1:], static.Box("nobody@example.test", ""))
	data.Aliases = nil
	under.become(healthy(t, data), nil)
	c.Invalidate()
	ask(t, c, alice, directory.NotFound)
	ask(t, c, nobody, directory.Found)
}

// TestInvalidateDuringAQuestion: an answer that was read before a change is
// neither remembered after it nor given to a later question.
func TestInvalidateDuringAQuestion(t *testing.T) {
	t.Parallel()
	without := tabletest.Data()
	without.Accounts = without.Accounts[1:]
	without.Aliases = nil
	for _, c := range []struct {
		before, after        static.Data
		oldAnswer, newAnswer directory.Outcome
	}{
		{without, tabletest.Data(), directory.NotFound, directory.Found},
		{tabletest.Data(), without, directory.Found, directory.NotFound},
	} {
		entered, leave := make(chan struct{}), make(chan struct{})
		under := &counting{under: healthy(t, c.before), gate: func(context.Context) {
			close(entered)
			<-leave
		}}
		d := cache.New(cache.Options{Under: under, Params: params(), Clock: clocktest.New(start)})
		var wg sync.WaitGroup
		wg.Go(func() { ask(t, d, alice, c.oldAnswer) })
		<-entered
		under.become(healthy(t, c.after), nil)
		d.Invalidate()
		ask(t, d, alice, c.newAnswer) // does not join the old question
		close(leave)
		wg.Wait()
		ask(t, d, alice, c.newAnswer)
	}
}

func TestOneAsksForMany(t *testing.T) {
	t.Parallel()
	c, under, _ := subject(t)
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	under.become(under.under, func(context.Context) {
		entered <- struct{}{}
		<-leave
	})
	var wg sync.WaitGroup
	wg.Go(func() { ask(t, c, alice, directory.Found) })
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := directory.New(c, "+").Recipient(ctx, alice); directory.OutcomeOf(err) != directory.Unavailable {
		t.Errorf("a waiter with a cancelled context got %v", err)
	}
	for range 20 {
		wg.Go(func() { ask(t, c, alice, directory.Found) })
	}
	close(leave)
	wg.Wait()
	if n := under.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want 1", n)
	}
}

// TestTheWorkerGivesUp: those who waited for a caller whose context ended ask
// for themselves.
func TestTheWorkerGivesUp(t *testing.T) {
	t.Parallel()
	c, under, _ := subject(t)
	good := under.under
	entered := make(chan struct{})
	under.become(cancelled{}, func(ctx context.Context) {
		close(entered)
		<-ctx.Done()
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := directory.New(c, "+").Recipient(ctx, alice); directory.OutcomeOf(err) != directory.Unavailable {
			t.Errorf("got %v", err)
		}
	})
	<-entered
	under.become(good, nil)
	wg.Go(func() { ask(t, c, alice, directory.Found) })
	cancel()
	wg.Wait()
}

type cancelled struct{}

func (cancelled) Entry(context.Context, directory.Key) (directory.Entry, error) {
	return directory.Entry{}, &directory.Error{Outcome: directory.Unavailable, Cause: context.Canceled}
}

// TestBound: a flood of wrong addresses neither grows the cache without limit
// nor pushes the right ones out.
func TestBound(t *testing.T) {
	t.Parallel()
	under := &counting{under: healthy(t, tabletest.Data())}
	p := params()
	p.CacheEntries = 100
	c := cache.New(cache.Options{Under: under, Params: p, Clock: clocktest.New(start)})
	ask(t, c, alice, directory.Found)
	for i := range 10 * p.CacheEntries {
		ask(t, c, addr.Address{Local: fmt.Sprint("x", i), Domain: "example.test"}, directory.NotFound)
	}
	if n := c.Len(); n > p.CacheEntries+2 { // alice and the domain
		t.Errorf("%d entries", n)
	}
	before := under.asked.Load()
	ask(t, c, alice, directory.Found)
	if under.asked.Load() != before {
		t.Error("alice was pushed out")
	}
}

// TestUsedEntriesSurvive: found answers in use stay when many others come.
func TestUsedEntriesSurvive(t *testing.T) {
	t.Parallel()
	under := &counting{under: healthy(t, tabletest.Data())}
	p := params()
	p.CacheEntries = 20
	c := cache.New(cache.Options{Under: under, Params: p, Clock: clocktest.New(start)})
	ask(t, c, alice, directory.Found)
	for i := range 200 {
		ask(t, c, addr.Address{Local: fmt.Sprint("alice+", i), Domain: "example.test"}, directory.Found)
		ask(t, c, alice, directory.Found)
	}
	if n := under.asked.Load(); n != 201 {
		t.Errorf("asked %d times, want 201", n)
	}
}

func TestZeroEntriesRemembersNothing(t *testing.T) {
	t.Parallel()
	under := &counting{under: healthy(t, tabletest.Data())}
	p := params()
	p.CacheEntries = 0
	c := cache.New(cache.Options{Under: under, Params: p, Clock: clocktest.New(start)})
	ask(t, c, alice, directory.Found)
	ask(t, c, alice, directory.Found)
	if n := under.asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// TestAHitIsCheap holds the promise of the package comment: no allocation.
func TestAHitIsCheap(t *testing.T) {
	c, _, _ := subject(t)
	ctx := context.Background()
	ask(t, c, alice, directory.Found)
	d := directory.New(c, "+")
	n := testing.AllocsPerRun(100, func() {
		if _, err := d.Recipient(ctx, alice); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations per hit", n)
	}
}

func BenchmarkHit(b *testing.B) {
	c := cache.New(cache.Options{Under: healthy(b, tabletest.Data()), Params: params(), Clock: clock.System{}})
	d := directory.New(c, "+")
	ask(b, c, alice, directory.Found)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := d.Recipient(context.Background(), alice); err != nil {
				b.Fatal(err)
			}
		}
	})
}
