package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

type names = map[string]dnstest.Name

// resolver asks one server, on a clock that stands still.
func resolver(t *testing.T, zone names) (*Resolver, *dnstest.Server, *clocktest.Clock) {
	t.Helper()
	s, c := dnstest.Start(t, zone), clocktest.New(start)
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("192.0.2.99 here.test # comment\n2001:db8::99 here.test\n\n192.0.2.98 bad_/name other.test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return New(Options{Servers: []string{s.Addr}, Hosts: hosts, CacheLimit: 100, Clock: c}), s, c
}

func ip(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestRecords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 40)
	r, _, _ := resolver(t, names{
		"example.test":                     {MX: []net.MX{{Host: "MX.example.test", Pref: 10}, {Host: "mx2.example.test", Pref: 20}}, NS: []string{"ns.example.test"}, TXT: []string{"v=spf1 \"a\" \\ \x01 ü", long}},
		"mx.example.test":                  {Addrs: []string{"192.0.2.1", "2001:db8::1"}},
		"null.test":                        {MX: []net.MX{{Host: "."}}},
		"alias.test":                       {CNAME: "second.test"},
		"second.test":                      {CNAME: "mx.example.test"},
		"half.test":                        {CNAME: "second.test", Half: true},
		dnstest.Reverse("192.0.2.1"):       {PTR: []string{"mx.example.test"}},
		dnstest.Reverse("2001:db8::1"):     {CNAME: "1.0/25.example.test"},
		"1.0/25.example.test":              {PTR: []string{"six.example.test"}},
		dnstest.Reverse("192.0.2.7"):       {PTR: []string{"good.test", "bad name.test"}},
		dnstest.Listed("192.0.2.1", "rbl"): {Addrs: []string{"127.0.0.2"}},
		"big.test":                         {Addrs: []string{"192.0.2.8"}, Truncate: true},
		"old.test":                         {Addrs: []string{"192.0.2.9"}, OldServer: true},
		"forged.test":                      {Addrs: []string{"192.0.2.10"}, Forged: true},
		"safe.test":                        {Addrs: []string{"192.0.2.11"}, Authentic: true},
	})
	ctx := t.Context()
	check := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v, want %v", what, got, err, want)
		}
	}
	mx, err := r.MX(ctx, "Example.Test.")
	check("MX", mx.Records, err, []MX{{"mx.example.test", 10}, {"mx2.example.test", 20}})
	mx, err = r.MX(ctx, "null.test")
	check("null MX", mx.Records, err, []MX{{}})
	txt, err := r.TXT(ctx, "example.test")
	check("TXT", txt.Records, err, []string{"v=spf1 \"a\" \\ \x01 ü", long})
	ns, err := r.NS(ctx, "example.test")
	check("NS", ns.Records, err, []string{"ns.example.test"})
	for _, name := range []string{"mx.example.test", "alias.test", "half.test"} {
		a, err := r.A(ctx, name)
		check("A "+name, a.Records, err, ip("192.0.2.1"))
		check("name of "+name, a.Name, nil, "mx.example.test")
		all, err := r.Addresses(ctx, Any, name)
		check("both "+name, all.Records, err, ip("192.0.2.1", "2001:db8::1"))
	}
	six, err := r.Addresses(ctx, IPv6, "mx.example.test")
	check("AAAA", six.Records, err, ip("2001:db8::1"))
	ptr, err := r.PTR(ctx, netip.MustParseAddr("::ffff:192.0.2.1"))
	check("PTR", ptr.Records, err, []string{"mx.example.test"})
	ptr, err = r.PTR(ctx, netip.MustParseAddr("2001:db8::1"))
	check("PTR over an alias", ptr.Records, err, []string{"six.example.test"})
	ptr, err = r.PTR(ctx, netip.MustParseAddr("192.0.2.7"))
	check("PTR with what is no host name", ptr.Records, err, []string{"good.test"})
	for name, want := range map[string]string{
		"1.2.0.192.rbl": "127.0.0.2", "big.test": "192.0.2.8", "old.test": "192.0.2.9", "forged.test": "192.0.2.10", "safe.test": "192.0.2.11",
	} {
		a, err := r.A(ctx, name)
		check(name, a.Records, err, ip(want))
		check("AD of "+name, a.Authentic, nil, name == "safe.test")
	}
	host, err := r.Host(ctx, Any, "Here.test.")
	check("hosts", host.Records, err, ip("192.0.2.99", "2001:db8::99"))
	host, err = r.Host(ctx, IPv6, "here.test")
	check("hosts, IPv6", host.Records, err, ip("2001:db8::99"))
	host, err = r.Host(ctx, IPv4, "mx.example.test")
	check("not in hosts", host.Records, err, ip("192.0.2.1"))
	ptr, err = r.Names(ctx, netip.MustParseAddr("192.0.2.98"))
	check("name in hosts", ptr.Records, err, []string{"other.test"})
	ptr, err = r.Names(ctx, netip.MustParseAddr("192.0.2.1"))
	check("name not in hosts", ptr.Records, err, []string{"mx.example.test"})
	if _, err := r.A(ctx, "here.test"); OutcomeOf(err) != NoName {
		t.Errorf("hosts answers for the name servers: %v", err)
	}
}

func TestThreeKindsOfNo(t *testing.T) {
	t.Parallel()
	r, s, _ := resolver(t, names{
		"empty.test": {}, "broken.test": {Fail: true}, "refused.test": {Code: 5},
		"loop.test": {CNAME: "loop2.test"}, "loop2.test": {CNAME: "loop.test"}, "self.test": {CNAME: "self.test"},
		"halfloop.test": {CNAME: "halfloop2.test", Half: true}, "halfloop2.test": {CNAME: "halfloop.test", Half: true},
		"dangling.test": {CNAME: "nowhere.test"}, "todry.test": {CNAME: "empty.test"},
		"badmx.test":  {MX: []net.MX{{Host: "bad name.test"}}},
		"mixed4.test": {Addrs: []string{"192.0.2.1"}, Fail: true, Only: "AAAA"},
		"mixed6.test": {Fail: true, Only: "A"},
	})
	for name, want := range map[string]Outcome{
		"nowhere.test": NoName, "empty.test": NoRecord, "broken.test": NoAnswer, "refused.test": NoAnswer,
		"loop.test": NoAnswer, "self.test": NoAnswer, "halfloop.test": NoAnswer, "dangling.test": NoName, "todry.test": NoRecord,
		"": NoName, ".": NoName, "a..test": NoName, strings.Repeat("a", 64) + ".test": NoName, strings.Repeat("a.", 130) + "test": NoName,
		"back\\slash.test": NoName, "a b.test": NoName, "ü.test": NoName, "mixed6.test": NoAnswer,
	} {
		_, err := r.Addresses(t.Context(), Any, name)
		if got := OutcomeOf(err); got != want {
			t.Errorf("%q: %v (%v), want %v", name, got, err, want)
		}
	}
	if _, err := r.MX(t.Context(), "badmx.test"); OutcomeOf(err) != NoAnswer {
		t.Errorf("a malformed exchanger: %v", err)
	}
	if a, err := r.Addresses(t.Context(), Any, "mixed4.test"); err != nil || !slices.Equal(a.Records, ip("192.0.2.1")) {
		t.Errorf("one of two questions: %v %v", a, err)
	}
	s.Set("later.test", dnstest.Name{NoName: true, NegativeTTL: 77})
	for range 2 { // from the server, and from the cache
		var no *Error
		if _, err := r.A(t.Context(), "later.test"); !errors.As(err, &no) || no.TTL != 77*time.Second {
			t.Errorf("how long a no holds: %+v", no)
		}
	}
	if n := s.Queries("broken.test", "A"); n != 2 {
		t.Errorf("asked %d times, want dns.attempts", n)
	}
	if _, err := r.PTR(t.Context(), netip.Addr{}); OutcomeOf(err) != NoName {
		t.Error(err)
	}
	if OutcomeOf(nil) != Found || OutcomeOf(context.Canceled) != NoAnswer {
		t.Error("other errors")
	}
}

// TestSilence: each question ends after its time, all of them after theirs, on the
// injected clock.
func TestSilence(t *testing.T) {
	t.Parallel()
	r, s, c := resolver(t, names{"slow.test": {Silent: true}})
	done := make(chan error)
	go func() {
		_, err := r.A(t.Context(), "slow.test")
		done <- err
	}()
	for asked := 1; asked <= 2; asked++ {
		for s.Queries("slow.test", "A") < asked {
			time.Sleep(time.Millisecond) // the server counts; there is no event
		}
		select {
		case err := <-done:
			t.Fatalf("ended before its time: %v", err)
		default:
		}
		c.Advance(5 * time.Second)
	}
	if err := <-done; OutcomeOf(err) != NoAnswer || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	r.o.Attempts = 100
	go func() {
		_, err := r.A(t.Context(), "slow.test")
		done <- err
	}()
	for s.Queries("slow.test", "A") < 3 {
		time.Sleep(time.Millisecond)
	}
	c.Advance(r.o.Total)
	if err := <-done; OutcomeOf(err) != NoAnswer {
		t.Error(err)
	}
}

// TestNobodyWaits: a question whose last asker leaves ends, and not before.
func TestNobodyWaits(t *testing.T) {
	t.Parallel()
	r, s, _ := resolver(t, names{"slow.test": {Silent: true}})
	first, leave := context.WithCancel(t.Context())
	second, leave2 := context.WithCancel(t.Context())
	errs := [2]chan error{make(chan error, 1), make(chan error, 1)}
	for i, ctx := range []context.Context{first, second} {
		go func() {
			_, err := r.A(ctx, "slow.test")
			errs[i] <- err
		}()
	}
	waiting := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		if f := r.flights[question{"slow.test", 1}]; f != nil {
			return f.waiting
		}
		return 0
	}
	for waiting() < 2 || s.Queries("slow.test", "A") == 0 {
		time.Sleep(time.Millisecond)
	}
	leave()
	if err := <-errs[0]; OutcomeOf(err) != NoAnswer {
		t.Error(err)
	}
	if waiting() != 1 {
		t.Error("the question ended with the first who left")
	}
	leave2()
	if err := <-errs[1]; OutcomeOf(err) != NoAnswer {
		t.Error(err)
	}
	if n := s.Queries("slow.test", "A"); n != 1 || waiting() != 0 {
		t.Errorf("%d questions, %d wait", n, waiting())
	}
}

func TestServersTakeOver(t *testing.T) {
	t.Parallel()
	good := dnstest.Start(t, names{"a.test": {Addrs: []string{"192.0.2.1"}}})
	lame := dnstest.Start(t, names{"a.test": {Code: 5}})
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := gone.LocalAddr().String()
	gone.Close()
	r := New(Options{Servers: []string{dead, lame.Addr, good.Addr}})
	for range 3 {
		if a, err := r.A(t.Context(), "a.test"); err != nil || len(a.Records) != 1 {
			t.Fatal(a, err)
		}
	}
	if n := lame.Queries("a.test", "A"); n != 1 {
		t.Errorf("the server that does not answer is asked first %d times", n)
	}
	if n := good.Queries("a.test", "A"); n != 3 {
		t.Errorf("%d questions", n)
	}
}

// TestWhatIsNoAnswer: what a server does not finish, or does not know, is no fact. Another one is
// asked, and without one nobody's mail is refused for good.
func TestWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	good := dnstest.Start(t, names{"a.test": {MX: []net.MX{{Host: "mx.test", Pref: 10}}}})
	for what, n := range map[string]dnstest.Name{
		"an answer that is cut off over TCP, too":         {Cut: true},
		"an empty answer of a server that does not serve": {Lame: true},
		"a response code that has no name":                {Code: 13},
	} {
		bad := dnstest.Start(t, names{"a.test": n})
		_, err := New(Options{Servers: []string{bad.Addr}}).MX(t.Context(), "a.test")
		if got := OutcomeOf(err); got != NoAnswer || strings.HasSuffix(err.Error(), ": ") {
			t.Errorf("%s: %v, %v", what, got, err)
		}
		if a, err := New(Options{Servers: []string{bad.Addr, good.Addr}}).MX(t.Context(), "a.test"); err != nil || len(a.Records) != 1 {
			t.Errorf("%s, and another server that answers: %v, %v", what, a, err)
		}
	}
}

func TestResolvConf(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	clock := clocktest.New(start)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := New(Options{ResolvConf: path, Clock: clock})
	want := func(servers ...string) {
		t.Helper()
		clock.Advance(lookAgain)
		if got := r.conf.servers(); !slices.Equal(got, servers) {
			t.Errorf("%v, want %v", got, servers)
		}
	}
	want("127.0.0.1:53") // no file
	write("# comment\nsearch example.test\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver rubbish\n")
	want("192.0.2.1:53", "[2001:db8::1]:53")
	write("nameserver 192.0.2.222\n")
	want("192.0.2.222:53")
	write("options edns0\n")
	want("127.0.0.1:53")
}

func TestCache(t *testing.T) {
	t.Parallel()
	r, s, clock := resolver(t, names{
		"":             {NegativeTTL: 60},
		"a.test":       {Addrs: []string{"192.0.2.1"}, TTL: 300},
		"alias.test":   {CNAME: "a.test", TTL: 30},
		"empty.test":   {NegativeTTL: 90},
		"instant.test": {Addrs: []string{"192.0.2.2"}},
		"broken.test":  {Fail: true, TTL: 300, NegativeTTL: 300},
		"huge.test":    {Addrs: []string{"192.0.2.3"}, TTL: 1<<32 - 1},
		"month.test":   {Addrs: []string{"192.0.2.4"}, TTL: 30 * 86400},
	})
	for _, c := range []struct {
		name string
		keep time.Duration
	}{
		{"a.test", 300 * time.Second}, {"alias.test", 30 * time.Second}, {"empty.test", 90 * time.Second}, {"none.test", time.Minute},
		{"instant.test", 0}, {"broken.test", 0}, {"huge.test", 0}, {"month.test", maxTTL},
	} {
		ask := func() int { a, err := r.A(t.Context(), c.name); _, _ = a, err; return s.Queries(c.name, "A") }
		first := ask()
		if c.keep == 0 {
			if ask() == first {
				t.Errorf("%s is kept", c.name)
			}
			continue
		}
		clock.Advance(c.keep - time.Second)
		if n := ask(); n != first {
			t.Errorf("%s is not kept", c.name)
		}
		if a, err := r.A(t.Context(), c.name); err == nil && a.TTL != time.Second {
			t.Errorf("%s: TTL %v", c.name, a.TTL)
		}
		clock.Advance(time.Second)
		if n := ask(); n != first+1 {
			t.Errorf("%s is kept too long", c.name)
		}
	}
}

// TestCacheIsBounded: what is asked for stays, what nobody asked for goes.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 4
	zone := names{}
	for i := range 2 * limit {
		zone[fmt.Sprintf("n%d.test", i)] = dnstest.Name{Addrs: []string{"192.0.2.1"}, TTL: 300}
	}
	s, c := dnstest.Start(t, zone), clocktest.New(start)
	r := New(Options{Servers: []string{s.Addr}, CacheLimit: limit, Clock: c})
	ask := func(i int) {
		if _, err := r.A(t.Context(), fmt.Sprintf("n%d.test", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 * limit {
		ask(i)
		ask(0)
	}
	ask(1)
	if s.Queries("n0.test", "A") != 1 || s.Queries("n1.test", "A") != 2 || r.cache.Len() > limit {
		t.Errorf("n0 was asked for %d times, n1 %d times, with %d answers", s.Queries("n0.test", "A"), s.Queries("n1.test", "A"), r.cache.Len())
	}
}

// TestAnAnswerThatFillsTheMemoryIsNotKept: whoever owns a domain writes answers of 64 KiB,
// which are half a megabyte in memory, for as many names as he has us ask for. The
// bound of the cache is a number of answers, so each of them has one, too.
func TestAnAnswerThatFillsTheMemoryIsNotKept(t *testing.T) {
	t.Parallel()
	var many, few []string
	for i := range 250 {
		many = append(many, fmt.Sprintf("192.0.2.%d", i))
	}
	for i := range 16 {
		few = append(few, fmt.Sprintf("192.0.2.%d", i))
	}
	var texts, long []string
	for i := range 20 {
		texts = append(texts, fmt.Sprintf("v=%d %s", i, strings.Repeat("x", 100)))
	}
	for range 10 {
		long = append(long, strings.Repeat("y", 1000))
	}
	r, s, _ := resolver(t, names{
		"many.test": {Addrs: many, TTL: 300, Truncate: true}, "few.test": {Addrs: few, TTL: 300},
		"long.test": {TXT: long, TTL: 300, Truncate: true}, "texts.test": {TXT: texts, TTL: 300, Truncate: true},
	})
	first := map[string]int{}
	for range 2 {
		for _, name := range []string{"many.test", "few.test", "long.test", "texts.test"} {
			first[name] = s.Queries(name, "A") + s.Queries(name, "TXT")
		}
		for name, n := range map[string]int{"many.test": len(many), "few.test": len(few)} {
			if a, err := r.A(t.Context(), name); err != nil || len(a.Records) != n {
				t.Fatalf("%s: %d addresses of %d, %v", name, len(a.Records), n, err)
			}
		}
		for name, n := range map[string]int{"long.test": len(long), "texts.test": len(texts)} {
			if a, err := r.TXT(t.Context(), name); err != nil || len(a.Records) != n {
				t.Fatalf("%s: %d texts of %d, %v", name, len(a.Records), n, err)
			}
		}
	}
	for name, kept := range map[string]bool{"many.test": false, "long.test": false, "few.test": true, "texts.test": true} {
		if again := s.Queries(name, "A") + s.Queries(name, "TXT") - first[name]; (again == 0) != kept {
			t.Errorf("%s was asked for %d times more, kept: %v", name, again, kept)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	r, s, _ := resolver(t, names{"a.test": {Addrs: []string{"192.0.2.1"}, TTL: 300}})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if a, err := r.A(t.Context(), "a.test"); err != nil || len(a.Records) != 1 {
				t.Error(a, err)
			}
		})
	}
	all.Wait()
	if n := s.Queries("a.test", "A"); n != 1 {
		t.Errorf("%d questions", n)
	}
}

func FuzzOctets(f *testing.F) {
	f.Add(`a\"b\\\009`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := octets(s); len(got) > len(s) {
			t.Errorf("%q became longer: %q", s, got)
		}
	})
}
