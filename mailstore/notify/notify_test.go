package notify

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/logtest"
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

// TestWhatWaitsIsBounded: each place is kept once, and of too many some are lost, until
// somebody looks.
func TestWhatWaitsIsBounded(t *testing.T) {
	t.Parallel()
	p := open(t, t.TempDir(), 0, 0)
	for range 2 {
		for i := range maxWaiting + 100 {
			p.put(Change{Home: "h", Dir: strconv.Itoa(i)})
			p.put(Change{Home: "h", Dir: "0"})
		}
		all := p.take()
		if len(all) != maxWaiting || len(p.take()) != 0 || len(p.some) != 1 {
			t.Errorf("%d waited, %d times told", len(all), len(p.some))
		}
		for _, same := range []Change{{Home: "h"}, {Home: "h", All: true}, {Home: "h"}, {Home: "h", Dir: "x"}} {
			p.put(same)
		}
		if all = p.take(); len(all) != 3 {
			t.Errorf("three places are %+v", all)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestOpenThatFails leaves no socket and nothing open; what it cannot remove is an error.
func TestOpenThatFails(t *testing.T) {
	t.Parallel()
	dir, down := t.TempDir(), errors.New("who is there?")
	_, err := Open(Options{Dir: dir, Slot: 3, Log: msglog.Discard(), Others: func() ([]int, error) { return nil, down }})
	if !errors.Is(err, down) {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, name(4), "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, Slot: 4, Log: msglog.Discard(), Others: func() ([]int, error) { return nil, nil }}); err == nil {
		t.Error("a folder in the place of the socket, and no error")
	}
}

// TestTheSocketIsTheUsersOwn: nobody else may poke; and a Close takes it away, also when
// somebody has done so before.
func TestTheSocketIsTheUsersOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, gone := range []bool{false, true} {
		p := open(t, dir, 0, 0)
		info, err := os.Stat(filepath.Join(dir, name(0)))
		if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
			t.Errorf("%v, %v", info, err)
		}
		if gone {
			if err := os.Remove(filepath.Join(dir, name(0))); err != nil {
				t.Fatal(err)
			}
		}
		p.Poke(Change{Home: "h"}) // to nobody
		if err := p.Close(); err != nil {
			t.Errorf("gone %v: %v", gone, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left are %v, %v", left, err)
		}
	}
}

// TestOthersThatCannotBeMet: who comes and cannot be met is a line in the log; pokes come in
// all the same.
func TestOthersThatCannotBeMet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log logtest.Buffer
	asked := 0
	a, err := Open(Options{Dir: dir, Slot: 0, Log: msglog.New(slog.NewTextHandler(&log, nil)), Others: func() ([]int, error) {
		if asked++; asked > 1 {
			return nil, errors.New("the folder is away")
		}
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := running(t, a)
	b := open(t, dir, 1, 0, 1) // which says that it is there
	running(t, b)
	pokeUntil(t, b, Change{Home: "example.test/alice"}, got)
	if !strings.Contains(log.String(), "another process of the store cannot be met") || !strings.Contains(log.String(), "the folder is away") {
		t.Error(log.String())
	}
}

// TestRunEndsWhileItLooks: a context that ends in the middle of a look ends Run when that is
// over, whatever else waits.
func TestRunEndsWhileItLooks(t *testing.T) {
	t.Parallel()
	p := open(t, t.TempDir(), 0, 0)
	ctx, cancel := context.WithCancel(t.Context())
	p.put(Change{Home: "h"})
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx, func(ctx context.Context, _ Change) {
			cancel()
			<-ctx.Done()
			p.put(Change{Home: "h"})
		})
	}()
	<-done
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
