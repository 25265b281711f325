package notify

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/internal/msglog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open is the poker of a process; slots are all that there are.
func open(t *testing.T, dir string, slot int, slots ...int) *Poker {
	t.Helper()
	p, err := Open(Options{Dir: dir, Slot: slot, Log: msglog.Discard(), Others: func() ([]int, error) {
		return slices.DeleteFunc(slices.Clone(slots), func(n int) bool { return n == slot }), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// running has p receive until the test ends.
func running(t *testing.T, p *Poker) <-chan Change {
	t.Helper()
	got := make(chan Change, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx, func(_ context.Context, at Change) { got <- at })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return got
}

func next(t *testing.T, got <-chan Change) Change {
	t.Helper()
	select {
	case at := <-got:
		return at
	case <-time.After(time.Minute):
		t.Fatal("nothing comes")
		return Change{}
	}
}

// pokeUntil pokes until it was received: a poke may be lost.
func pokeUntil(t *testing.T, p *Poker, at Change, got <-chan Change) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		p.Poke(at)
		select {
		case have := <-got:
			if have == at {
				return
			}
		case <-time.After(time.Millisecond):
		}
	}
	t.Fatal("nothing comes")
}

// TestManyPokeAtOnce: each session pokes by itself. It needs the race detector to fail.
func TestManyPokeAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := open(t, dir, 1, 1, 2), open(t, dir, 2, 1, 2)
	got := running(t, one)
	running(t, two)
	if err := two.Meet(); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				two.Poke(Change{Home: "h", Dir: "d"})
			}
		})
	}
	all.Wait()
	pokeUntil(t, two, Change{Home: "h", Dir: "last"}, got)
}

func TestPokes(t *testing.T) {
	t.Parallel()
	// Longer than the address of a socket can be.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// What a process left that was killed.
	if err := os.WriteFile(filepath.Join(dir, name(0)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a, b, c := open(t, dir, 0, 0, 1, 2), open(t, dir, 1, 0, 1, 2), open(t, dir, 2, 0, 1, 2)
	first, second := running(t, a), running(t, b)
	for _, at := range []Change{{Home: "example.test/alice"}, {Home: "example.test/alice", Dir: ".Sent"}, {Home: "example.test/bob", All: true}} {
		c.Poke(at)
		if got := next(t, first); got != at {
			t.Errorf("%+v", got)
		}
		if got := next(t, second); got != at {
			t.Errorf("%+v", got)
		}
	}
	// Nobody reads the third one's: whoever pokes does not wait for it.
	for range 5000 {
		a.Poke(Change{Home: "example.test/alice"})
	}
	if got := next(t, second); got != (Change{Home: "example.test/alice"}) {
		t.Errorf("%+v", got)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	pokeUntil(t, a, Change{Home: "example.test/carol"}, second) // one of them is gone
}

// TestOneThatComesIsMet without a look of the others.
func TestOneThatComesIsMet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var others atomic.Pointer[[]int]
	others.Store(&[]int{})
	met := make(chan struct{}, 10)
	a, err := Open(Options{Dir: dir, Slot: 0, Log: msglog.Discard(), Others: func() ([]int, error) {
		met <- struct{}{}
		return *others.Load(), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	<-met
	others.Store(&[]int{1})
	running(t, a)
	b := open(t, dir, 1, 0, 1)
	got := running(t, b)
	<-met
	pokeUntil(t, a, Change{Home: "example.test/alice"}, got) // the list is replaced after the question
}

// TestNonsense that somebody sends ends nothing.
func TestNonsense(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir, 0, 0, 1), open(t, dir, 1, 0, 1)
	got := running(t, a)
	for _, text := range []string{"", "m", "mno zero", "x", "\xff\x00", "m\x00", strings.Repeat("a", 60000)} {
		b.send([]byte(text))
	}
	want := Change{Home: "example.test/alice"}
	b.Poke(want)
	for at := next(t, got); at != want; at = next(t, got) {
		if at.Home != "" && !at.All {
			t.Errorf("%+v", at)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestNoPoker(t *testing.T) {
	t.Parallel()
	var p *Poker
	p.Poke(Change{Home: "example.test/alice"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.Run(ctx, nil)
	if err := p.Meet(); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(Options{Dir: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("no folder, and no error")
	}
}
