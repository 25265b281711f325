package tables

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/directory"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/logtest"
)

// bench is a Set whose time and log a test has in its hands.
type bench struct {
	t     *testing.T
	dir   string
	clock *clocktest.Clock
	log   *logtest.Buffer
	set   *Set
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir(), clock: clocktest.New(time.Now().Add(time.Hour)), log: &logtest.Buffer{}}
	b.set = NewSet(Options{
		Params: limitsForTest(), Dir: b.dir, Clock: b.clock, Log: msglog.New(slog.NewTextHandler(b.log, nil)),
	})
	t.Cleanup(func() {
		if err := b.set.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// put replaces a file as a careful editor does.
func (b *bench) put(name, text string) {
	b.t.Helper()
	write(b.t, b.dir, name+".new", text)
	if err := os.Rename(filepath.Join(b.dir, name+".new"), filepath.Join(b.dir, name)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) open(table string) Table {
	b.t.Helper()
	t, err := b.set.Open(context.Background(), table)
	if err != nil {
		b.t.Fatal(err)
	}
	return t
}

// is looks a key up; want "" is not found.
func (b *bench) is(table Table, key, want string) {
	b.t.Helper()
	text, err := table.Lookup(context.Background(), key)
	if want == "" && directory.OutcomeOf(err) != directory.NotFound || want != "" && err != nil || text != want {
		b.t.Errorf("%s, %q: %q, %v, want %q", Name(table), key, text, err, want)
	}
}

// logged counts the lines that have all words.
func (b *bench) logged(words ...string) int {
	n := 0
	for line := range strings.Lines(b.log.String()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			n++
		}
	}
	return n
}

// TestReload: a changed file is taken up within a second, not before; a bad one leaves the
// one before in use, and is logged once.
func TestReload(t *testing.T) {
	b := newBench(t)
	b.put("f", "a 1\n")
	for _, kind := range []string{"texthash", "hash", "lmdb"} {
		b.is(b.open(kind+":f"), "a", "1")
	}
	f := b.open("texthash:f")
	b.put("f", "a 2\nb 2\n")
	b.is(f, "a", "1")
	b.clock.Advance(999 * time.Millisecond)
	b.is(f, "a", "1")
	b.clock.Advance(time.Millisecond)
	b.is(f, "a", "2")
	b.is(f, "b", "2")
	if n := b.logged("status=reloaded", "texthash:f"); n != 1 {
		t.Errorf("%d lines", n)
	}
	// The same text, another file.
	b.put("f", "a 2\nb 2\n")
	b.clock.Advance(time.Second)
	b.is(f, "a", "2")
	if n := b.logged("status=reloaded", "texthash:f"); n != 1 {
		t.Errorf("%d lines", n)
	}
	b.put("f", "a 3\nb\n")
	for range 5 {
		b.clock.Advance(time.Second)
		b.is(f, "a", "2")
	}
	if n := b.logged("reload failed", "f:2", "texthash:f"); n != 1 {
		t.Errorf("%d lines", n)
	}
	b.put("f", "a 4\nb\n")
	b.clock.Advance(time.Second)
	b.is(f, "a", "2")
	if n := b.logged("reload failed", "texthash:f"); n != 2 {
		t.Errorf("%d lines: another bad version is another line", n)
	}
	if err := os.Remove(filepath.Join(b.dir, "f")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.clock.Advance(time.Second)
		b.is(f, "a", "2")
	}
	if n := b.logged("reload failed", "no such file", "texthash:f"); n != 1 {
		t.Errorf("%d lines", n)
	}
	b.put("f", "a 5\n")
	b.set.Refresh()
	b.is(f, "a", "5")
	if n := b.logged("status=reloaded", "texthash:f"); n != 2 {
		t.Errorf("%d lines", n)
	}
}

// TestReloadOfYoungFile: a file that is changed twice within the grain of its time and
// without another size is read again.
func TestReloadOfYoungFile(t *testing.T) {
	b := newBench(t)
	stamp := b.clock.Now()
	path := filepath.Join(b.dir, "f")
	inPlace := func(text string) {
		write(t, b.dir, "f", text)
		if err := os.Chtimes(path, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	inPlace("a 1\n")
	f := b.open("texthash:f")
	inPlace("a 2\n")
	b.clock.Advance(time.Second)
	b.is(f, "a", "2")
	inPlace("a 3\n")
	b.clock.Advance(time.Second)
	b.is(f, "a", "3")
}

// TestReloadWhileAsked has many who ask while the file changes.
func TestReloadWhileAsked(t *testing.T) {
	b := newBench(t)
	b.put("f", "a 0\n")
	f := b.open("texthash:f")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				b.clock.Advance(100 * time.Millisecond)
				if _, err := f.Lookup(context.Background(), "a"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 50 {
		b.put("f", "a 1\n")
		b.put("f", "a\n")
	}
	all.Wait()
}

// TestMistakes: each has its file and line.
func TestMistakes(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct{ kind, text, at, want string }{
		{"texthash", "a 1\n b\n\nc\n", ":4: ", "no text"},
		{"texthash", " a 1\n", ":1: ", "white space"},
		{"texthash", "a 1\n\"b c 1\n", ":2: ", "not closed"},
		{"texthash", "a 1\nb \xff\n", ":2: ", "UTF-8"},
		{"cidr", "1.2.3.4 a\n\n1.2.3.4/33 b\n", ":3: ", "address/bits"},
		{"cidr", "1.2.3.4/8 b\n", ":1: ", "is 1.0.0.0/8 meant?"},
		{"cidr", "host b\n", ":1: ", "neither an address nor a network"},
		{"cidr", "1.2.3.4\n", ":1: ", "no text"},
		{"cidr", "\n\nif 1.2.3.4\n1.2.3.4 a\n", ":3: ", "if without endif"},
		{"regexp", "endif\n", ":1: ", "endif without if"},
		{"regexp", "/a/ b\n/(a/ c\n", ":2: ", "not closed"},
		{"regexp", "/a/\n", ":1: ", "no text"},
		{"regexp", "/a b\n", ":1: ", "not closed"},
		{"regexp", "abc b\n", ":1: ", "delimiter"},
		{"regexp", "/a/q b\n", ":1: ", "unknown flag \"q\""},
		{"regexp", "/(a)\\1/ b\n", ":1: ", "type pcre"},
		{"regexp", "/\\d/ b\n", ":1: ", "POSIX"},
		{"regexp", "/(?:a)/ b\n", ":1: ", "nothing before"},
		{"regexp", "/a{2/ b\n", ":1: ", "not closed"},
		{"regexp", "/*a/ b\n", ":1: ", "nothing before"},
		{"regexp", "/a/ $1\n", ":1: ", "0 groups"},
		{"regexp", "!/(a)/ $1\n", ":1: ", "negated"},
		{"regexp", "/(a)/ $x\n", ":1: ", "no number"},
		{"regexp", "/(a)/ ${1\n", ":1: ", "not closed"},
		{"regexp", "/(a)/ a$\n", ":1: ", "write $$"},
		{"pcre", "/a/ b\n/(?R)/ c\n", ":2: ", "not done here"},
		{"pcre", "/(*FAIL)/ c\n", ":1: ", "not done here"},
		{"pcre", "/(/ c\n", ":1: ", ""},
	} {
		b.put("bad", c.text)
		_, err := b.set.Open(context.Background(), c.kind+":bad")
		var m *Mistake
		if !errors.As(err, &m) || !strings.HasPrefix(err.Error(), filepath.Join(b.dir, "bad")+c.at) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v", c.kind, c.text, err)
		}
	}
	for _, c := range []struct{ table, want string }{
		{"nonsense:x", "no type"}, {"regex:x", "did you mean regexp?"}, {"ldap:x", "not done here"}, {"unix:passwd.byname", "not done here"},
		{"x", "type:argument"}, {"texthash:", "type:argument"}, {"texthash:missing", "no such file"}, {"texthash:.", "is no file"},
		{"inline:{}", "empty"}, {"inline:x", "begin with a {"}, {"inline:{a}", "key = text"}, {"inline:{a=b", "not closed"},
		{"static:{a} b", "behind the last }"}, {"unionmap:{x}", "type:argument"}, {"pipemap:{static:a,nope:b}", "no type"},
		{"regexp:{/a/ b}", "begin with a {"}, {"regexp:{{/(/ b}}", "not closed"}, {"socketmap:x", "expected"}, {"socketmap:inet:h:1", "expected"},
		{"tcp:x", "expected"}, {"directory:x", "no table"},
		{strings.Repeat("unionmap:{", 12) + "static:a" + strings.Repeat("}", 12), "within one another"},
	} {
		if _, err := b.set.Open(context.Background(), c.table); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.table, err)
		}
	}
}

// TestWarnings: what changes no answer is logged, with its place.
func TestWarnings(t *testing.T) {
	b := newBench(t)
	b.put("w", "a 1\nA 2\nb: 3\n")
	b.is(b.open("texthash:w"), "a", "1")
	b.put("r", "if /a/ more\n/a/ b\nendif text\n")
	b.is(b.open("regexp:r"), "a", "b")
	for _, want := range []string{"w:2: duplicate", "w:3:", "r:1: text behind", "r:3: text behind"} {
		if b.logged("level=WARN", want) != 1 {
			t.Errorf("no %q in %s", want, b.log)
		}
	}
}

// TestOpenedOnce: one name is one table.
func TestOpenedOnce(t *testing.T) {
	b := newBench(t)
	b.put("f", "a 1\n")
	if b.open("texthash:f") != b.open(" proxy:texthash:f ") {
		t.Error("opened twice")
	}
}

// TestBounds of what a file and an answer may be.
func TestBounds(t *testing.T) {
	b := newBench(t)
	b.set.limits.maxEntries, b.set.limits.maxResult, b.set.limits.maxLine, b.set.limits.maxFile = 2, 10, 100, 1000
	for name, text := range map[string]string{
		"max_entries": "a 1\nb 2\nc 3\n", "max_result": "a 12345678901\n", "max_line": "a 1\n" + strings.Repeat(" x", 60) + "\n",
		"max_file_size": strings.Repeat("# comment\n", 101),
	} {
		b.put("f", text)
		if _, err := b.set.Open(context.Background(), "texthash:f"); err == nil || !strings.Contains(err.Error(), "tables."+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := b.open("regexp:{ {/(.*)/ $1$1} }").Lookup(context.Background(), "123456")
	if directory.OutcomeOf(err) != directory.Misconfigured {
		t.Error(err)
	}
	_, err = b.open("unionmap:{static:123456,static:123456}").Lookup(context.Background(), "k")
	if directory.OutcomeOf(err) != directory.Misconfigured {
		t.Error(err)
	}
}

// TestPatternTakesTooLong is a temporary failure, not an answer.
func TestPatternTakesTooLong(t *testing.T) {
	b := newBench(t)
	b.set.limits.matchTimeout = 10 * time.Millisecond
	p := b.open("pcre:{ {/^(?=x)(x+)+\\1y$/ found} }")
	b.is(p, "xxxy", "found")
	_, err := p.Lookup(context.Background(), strings.Repeat("x", 60)+"!y")
	if directory.OutcomeOf(err) != directory.Unavailable {
		t.Errorf("%v", err)
	}
}

// TestOctets: a text that is no UTF-8 keeps its octets.
func TestOctets(t *testing.T) {
	b := newBench(t)
	for _, table := range []string{"pcre:{ {/^(?=x)x(.)(y+)/ <$1$2>} }", "pcre:{ {/^x(.)(y+)/ <$1$2>} }", "regexp:{ {/^x(.)(y+)/ <$1$2>} }"} {
		b.is(b.open(table), "x\xffyy\xfe", "<\xffyy>")
	}
}
