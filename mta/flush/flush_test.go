package flush

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/vfs"
)

// standIn is a queue that has what waits in a map.
type standIn struct {
	mu      sync.Mutex
	waits   map[envelope.QueueID]bool
	flushed []envelope.QueueID
	broken  error
	// during is called while FlushIDs works.
	during func()
	done   chan int
}

func (q *standIn) FlushIDs(_ context.Context, ids []envelope.QueueID) (int, error) {
	if q.during != nil {
		q.during()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.broken != nil {
		return 0, q.broken
	}
	n := 0
	for _, id := range ids {
		if q.waits[id] {
			q.flushed = append(q.flushed, id)
			n++
		}
	}
	if q.done != nil {
		q.done <- n
	}
	return n, nil
}

func (q *standIn) Waits(id envelope.QueueID) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waits[id], nil
}

func (q *standIn) take() []envelope.QueueID {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := q.flushed
	q.flushed = nil
	return f
}

// bed is an index over a folder.
type bed struct {
	*Index
	o     Options
	q     *standIn
	clock *clocktest.Clock
}

func newBed(t *testing.T, items ...string) *bed {
	t.Helper()
	c := configs.Default().Flush
	c.Domains = items
	clk := clocktest.New(time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC))
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	q := &standIn{waits: map[envelope.QueueID]bool{}}
	b := &bed{q: q, clock: clk, o: Options{
		Params: c, Dir: filepath.Join(t.TempDir(), "flush"), Tables: set, Keys: keys.Options{ParentMatches: true},
		Queue: q, FS: vfs.OS{}, Clock: clk, Log: msglog.Discard(),
	}}
	b.open(t)
	return b
}

func (b *bed) open(t *testing.T) {
	t.Helper()
	x, err := New(b.o)
	if err != nil {
		t.Fatal(err)
	}
	b.Index = x
}

// defers notes a message that waits.
func (b *bed) defers(id envelope.QueueID, domains ...string) {
	b.q.mu.Lock()
	b.q.waits[id] = true
	b.q.mu.Unlock()
	b.Add(context.Background(), id, domains)
}

func (b *bed) files(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(b.o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (b *bed) flush(t *testing.T, domain string, want ...envelope.QueueID) {
	t.Helper()
	n, err := b.Flush(t.Context(), domain)
	if got := b.q.take(); err != nil || n != len(want) || !slices.Equal(got, want) {
		t.Errorf("%s: %d %v %q, want %q", domain, n, err, got, want)
	}
}

// TestFlush: a domain gets what waits for it and nothing else, once; also by another process.
func TestFlush(t *testing.T) {
	t.Parallel()
	b := newBed(t, "served.test", "!no.other.test", ".other.test", "inline:{ {table.test = x}, {broken.test = y} }", "[192.0.2.1]"[1:10])
	b.defers("3AAAAAAAAAz1", "served.test", "sub.served.test", "unserved.test", "served.test")
	b.defers("3BBBBBBBBBz1", "served.test", "table.test")
	b.defers("3CCCCCCCCCz1", "no.other.test", "yes.other.test", "other.test")
	b.defers("3DDDDDDDDDz1", "served.test")
	delete(b.q.waits, "3DDDDDDDDDz1") // delivered meanwhile
	if got := b.files(t); !slices.Equal(got, []string{"served.test", "sub.served.test", "table.test", "yes.other.test"}) {
		t.Errorf("%q", got)
	}
	b.open(t) // another process
	b.flush(t, "Served.Test.", "3AAAAAAAAAz1", "3BBBBBBBBBz1")
	b.flush(t, "served.test")
	b.flush(t, "sub.served.test", "3AAAAAAAAAz1")
	b.flush(t, "table.test", "3BBBBBBBBBz1")
	b.flush(t, "yes.other.test", "3CCCCCCCCCz1")
	b.flush(t, "nothing.served.test")
	b.defers("3AAAAAAAAAz1", "served.test") // it failed again
	b.flush(t, "served.test", "3AAAAAAAAAz1")
	for domain, want := range map[string]error{"unserved.test": ErrDenied, "no.other.test": ErrDenied, "other.test": ErrDenied, "a..b": ErrName, "[]": ErrName, "": ErrName} {
		if _, err := b.Flush(t.Context(), domain); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", domain, err, want)
		}
		if err := b.Request(t.Context(), domain); !errors.Is(err, want) {
			t.Errorf("request %q: %v, want %v", domain, err, want)
		}
	}
}

// TestSubdomainsOnlyWhereTheyAreMeant: without fast_flush_domains among
// main.parent_domain_matches_subdomains a domain is itself.
func TestSubdomainsOnlyWhereTheyAreMeant(t *testing.T) {
	t.Parallel()
	b := newBed(t, "served.test", ".below.test")
	b.o.Keys.ParentMatches = false
	b.open(t)
	for domain, want := range map[string]bool{"served.test": true, "sub.served.test": false, "below.test": false, "a.b.below.test": true} {
		if _, err := b.Flush(t.Context(), domain); (err == nil) != want {
			t.Errorf("%s: %v", domain, err)
		}
	}
}

// TestNothingIsLostWhenAFlushFails: after an error, and after a kill before the log was emptied, the
// messages are listed still; what comes while a flush works stays, too.
func TestNothingIsLostWhenAFlushFails(t *testing.T) {
	t.Parallel()
	b := newBed(t, "served.test")
	b.defers("3AAAAAAAAAz1", "served.test")
	b.q.broken = errors.New("the disk")
	if _, err := b.Flush(t.Context(), "served.test"); !errors.Is(err, b.q.broken) {
		t.Errorf("%v", err)
	}
	b.q.broken = nil
	b.q.during = func() { b.q.during = nil; b.defers("3BBBBBBBBBz1", "served.test") }
	b.flush(t, "served.test", "3AAAAAAAAAz1")
	b.flush(t, "served.test", "3BBBBBBBBBz1")
}

// TestTornLines: what a power loss has left of a log names nobody, and hinders nobody.
func TestTornLines(t *testing.T) {
	t.Parallel()
	b := newBed(t, "served.test")
	b.defers("3AAAAAAAAAz1", "served.test")
	path := filepath.Join(b.o.Dir, "served.test")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	torn := append(text, "\x00\x00\x00\x00\n3A/../../etc\n# x\n"+strings.Repeat("y", 5000)+"\n3BBB\x00"...)
	if err := os.WriteFile(path, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	b.flush(t, "served.test", "3AAAAAAAAAz1")
}

// TestLogStaysShort: messages that are deferred again and again, and those that have left, do not make
// a log longer than what waits.
func TestLogStaysShort(t *testing.T) {
	t.Parallel()
	b := newBed(t, "served.test")
	stop := b.run(t)
	const messages = 100
	for round := range 400 {
		for i := range messages {
			b.defers(envelope.QueueID(fmt.Sprintf("3A%08dz1", i)), "served.test")
		}
		gone := envelope.QueueID(fmt.Sprintf("3B%08dz1", round))
		b.defers(gone, "served.test")
		b.q.mu.Lock()
		delete(b.q.waits, gone)
		b.q.mu.Unlock()
	}
	stop()
	b.answer(context.Background()) // what came last
	info, err := os.Stat(filepath.Join(b.o.Dir, "served.test"))
	if err != nil || info.Size() > 3*minLong {
		t.Errorf("%d octets, %v", info.Size(), err)
	}
	if n, err := b.Flush(t.Context(), "served.test"); n != messages || err != nil {
		t.Errorf("%d %v", n, err)
	}
}

// run runs the index until stop, which waits.
func (b *bed) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.Index.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

// TestRequest: a request is answered at once and done by Run; many of them are one.
func TestRequest(t *testing.T) {
	t.Parallel()
	b := newBed(t, "served.test")
	b.q.done = make(chan int, 10)
	b.defers("3AAAAAAAAAz1", "served.test")
	for range 100 {
		if err := b.Request(t.Context(), "served.test"); err != nil {
			t.Fatal(err)
		}
	}
	b.run(t)
	if n := <-b.q.done; n != 1 || !slices.Equal(b.q.take(), []envelope.QueueID{"3AAAAAAAAAz1"}) {
		t.Errorf("%d", n)
	}
}

// TestRefreshAndPurge: after fast_flush_refresh_time what is listed is tried unasked; a log that is empty for
// fast_flush_purge_time goes.
func TestRefreshAndPurge(t *testing.T) {
	t.Parallel()
	b := newBed(t, "served.test")
	b.defers("3AAAAAAAAAz1", "served.test")
	b.clock.Advance(b.o.Params.RefreshTime - time.Minute)
	b.open(t) // since when it lists is in the file
	b.lookOver(t.Context())
	if got := b.q.take(); got != nil {
		t.Fatalf("too early: %q", got)
	}
	b.clock.Advance(time.Minute)
	b.lookOver(t.Context())
	if got := b.q.take(); len(got) != 1 {
		t.Fatalf("not refreshed: %q", got)
	}
	b.clock.Advance(b.o.Params.PurgeTime - time.Minute)
	b.lookOver(t.Context())
	if got := b.files(t); len(got) != 1 {
		t.Fatalf("too early: %q", got)
	}
	b.clock.Advance(time.Minute)
	b.lookOver(t.Context())
	if got := b.files(t); len(got) != 0 {
		t.Fatalf("not purged: %q", got)
	}
	b.defers("3BBBBBBBBBz1", "served.test")
	b.flush(t, "served.test", "3BBBBBBBBBz1")
}

// TestSiteLimit: beyond the limit a domain is not listed, and who asks for it hears that, not that nothing waits.
func TestSiteLimit(t *testing.T) {
	t.Parallel()
	b := newBed(t, "test")
	b.o.Params.SiteLimit = 2
	b.open(t)
	b.defers("3AAAAAAAAAz1", "a.test", "b.test", "c.test")
	b.flush(t, "a.test", "3AAAAAAAAAz1")
	if err := b.Request(t.Context(), "c.test"); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
	if _, err := b.Flush(t.Context(), "c.test"); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

// TestFileNames: whatever a domain is, its log lies in the folder, and has a name of its own.
func TestFileNames(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, domain := range []string{"a.test", "..", ".", "a/b", "../../x", "ä.test", strings.Repeat("a.", 120) + "test", "x.new", "", "=0", "A.test", "ipv6:2001:db8::1"} {
		name := fileName(domain)
		if name == "" || len(name) > longestName || strings.ContainsAny(name, "/\x00") || name[0] == '.' || strings.HasSuffix(name, ".new") || seen[name] != "" {
			t.Errorf("%q: %q (also of %q)", domain, name, seen[name])
		}
		seen[name] = domain
	}
}

// TestAddWhileEverythingElseHappens is for the race detector.
func TestAddWhileEverythingElseHappens(t *testing.T) {
	t.Parallel()
	b := newBed(t, "test")
	b.o.Params.PurgeTime, b.o.Params.RefreshTime = 0, 0
	b.open(t)
	b.run(t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				b.defers(envelope.QueueID(fmt.Sprintf("3%d%08dz1", w, i)), "a.test", "b.test")
				if i%10 == 0 {
					_ = b.Request(context.Background(), "a.test")
					b.lookOver(context.Background())
				}
			}
		})
	}
	wg.Wait()
	var all []envelope.QueueID
	for _, domain := range []string{"a.test", "b.test"} {
		if _, err := b.Flush(t.Context(), domain); err != nil {
			t.Error(err)
		}
	}
	all = b.q.take()
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 800 {
		t.Errorf("%d of 800 messages were flushed", n)
	}
}
