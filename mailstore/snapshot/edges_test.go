package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/mailstore"
)

// homesOf are all homes below root.
func homesOf(t *testing.T, root string) (homes []string) {
	t.Helper()
	must(t, Homes(context.Background(), root, func(home string) error { homes = append(homes, home); return nil }))
	return homes
}

// TestHomesAtTheEdges: what is no home below the root is none, and what the root is
// called, or is itself, does not matter.
func TestHomesAtTheEdges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		root        string
		files, want []string
	}{
		"empty":                  {"mail", []string{"x"}, nil},
		"a root that is hidden":  {".mail", []string{"a.test/alice/cur/"}, []string{"a.test/alice"}},
		"a root that is a home":  {"mail", []string{"cur/", "new/", "a.test/alice/cur/"}, []string{"a.test/alice"}},
		"hidden folders":         {"mail", []string{".backup/a.test/alice/cur/", "a.test/.old/cur/"}, nil},
		"a home below a home":    {"mail", []string{"a/cur/", "a/below/cur/", "a/.Sent/cur/"}, []string{"a", "a/below"}},
		"named by its log":       {"mail", []string{"a/toastmaster.index.log", "b/maildirfolder"}, []string{"a", "b"}},
		"tmp, new, cur of homes": {"mail", []string{"a/cur/x", "a/new/y/cur", "a/tmp/z"}, []string{"a"}},
		"cur of another depth":   {"mail", []string{"a/cur/cur/", "b/new/b/cur/"}, []string{"a/cur"}},
		"a file in a place":      {"mail", []string{"a.test/cur", "b.test/x/readme"}, []string{"a.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := filepath.Join(t.TempDir(), c.root)
			tree(t, root, append(c.files, "readme")...)
			if got := homesOf(t, root); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestHomesStops: at the first error of who is told, when its context ends, and at a
// root that is not there; a folder that goes while it is read is none of those.
func TestHomesStops(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree(t, root, "a/cur/", "b/x/cur/", "c/cur/")
	enough, told := errors.New("enough"), 0
	if err := Homes(t.Context(), root, func(string) error { told++; return enough }); err != enough || told != 1 {
		t.Errorf("%v after %d", err, told)
	}
	ctx, cancel := context.WithCancel(t.Context())
	told = 0
	if err := Homes(ctx, root, func(string) error { told++; cancel(); return nil }); !errors.Is(err, context.Canceled) || told != 1 {
		t.Errorf("%v after %d", err, told)
	}
	if err := Homes(t.Context(), filepath.Join(root, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no root: %v", err)
	}
	var got []string
	must(t, Homes(t.Context(), root, func(home string) error {
		got = append(got, home)
		return os.RemoveAll(filepath.Join(root, "b"))
	}))
	if !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("b went, and there are %q", got)
	}
}

// TestStagesOfOthers: the stage of a process that was killed goes when the next one is
// made, the stage of one that works stays, and its pictures with it.
func TestStagesOfOthers(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree(t, root, filepath.Join(mailstore.Private, "backup-killed", "1", "2"), filepath.Join(mailstore.Private, "spool", "x"))
	one, err := NewStaging(root)
	must(t, err)
	tree(t, one.dir, "1/1")
	two, err := NewStaging(root)
	must(t, err)
	must(t, Clean(root))
	stages, err := filepath.Glob(filepath.Join(root, mailstore.Private, "*"))
	must(t, err)
	want := []string{one.dir, two.dir, filepath.Join(root, mailstore.Private, "spool")}
	slices.Sort(want)
	if !slices.Equal(stages, want) {
		t.Errorf("there are %q, want %q", stages, want)
	}
	if _, err := os.Stat(filepath.Join(one.dir, "1", "1")); err != nil {
		t.Error(err)
	}
	must(t, one.Close())
	must(t, two.Close())
	if left, _ := filepath.Glob(filepath.Join(root, mailstore.Private, "backup-*")); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
	if _, err := NewStaging(filepath.Join(root, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no store: %v", err)
	}
}

// bed is a store with one account, and a stage in it.
type bed struct {
	t     *testing.T
	root  string
	stage *Staging
}

func newBed(t *testing.T, files ...string) *bed {
	t.Helper()
	b := &bed{t: t, root: t.TempDir()}
	tree(t, b.root, mailstore.Private+"/")
	for _, f := range files {
		tree(t, b.root, "a/"+f)
	}
	stage, err := NewStaging(b.root)
	must(t, err)
	b.stage = stage
	t.Cleanup(func() { must(t, stage.Close()) })
	return b
}

func (b *bed) options() Options {
	return Options{Root: b.root, Home: "a", Staging: b.stage, Patience: time.Minute, Clock: clock.System{}}
}

func (b *bed) path(name string) string { return filepath.Join(b.root, "a", name) }

// take takes a picture and gives its paths, folders with a slash behind them.
func (b *bed) take(o Options) (paths []string) {
	b.t.Helper()
	p, err := Take(b.t.Context(), o)
	must(b.t, err)
	for _, f := range p.Files {
		path := f.Path
		if f.Info != nil {
			path += "/"
		}
		paths = append(paths, path)
	}
	must(b.t, p.Close())
	b.empty()
	slices.Sort(paths)
	return paths
}

// empty checks that nothing of a picture is left in the stage.
func (b *bed) empty() {
	b.t.Helper()
	if left, err := os.ReadDir(b.stage.dir); err != nil || len(left) > 0 {
		b.t.Errorf("left in the stage: %v, %v", left, err)
	}
}

// TestChangesWhileAPictureIsTaken: a picture in which something is half there is taken
// again; of the first try nothing is left.
func TestChangesWhileAPictureIsTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files  []string
		change func(b *bed) error
		want   string // a file that the picture has, or with "!" has not
	}{
		"a message moves": {[]string{"cur/1.x:2,", "toastmaster.index.log"},
			func(b *bed) error { return os.Rename(b.path("cur/1.x:2,"), b.path("cur/1.x:2,S")) }, "cur/1.x:2,S"},
		"a message goes": {[]string{"cur/1.x:2,"}, func(b *bed) error { return os.Remove(b.path("cur/1.x:2,")) }, "!cur/1.x:2,"},
		"a folder comes": {[]string{"cur/1.x:2,"}, func(b *bed) error {
			return errors.Join(os.MkdirAll(b.path(".New/cur"), 0o700), os.WriteFile(b.path(".New/cur/2.x"), nil, 0o600))
		}, ".New/cur/2.x"},
		"a folder goes": {[]string{"cur/1.x:2,", ".Old/cur/2.x"}, func(b *bed) error { return os.RemoveAll(b.path(".Old")) }, "!.Old/cur/2.x"},
		"a mailbox without a log is opened": {[]string{"cur/1.x:2,"},
			func(b *bed) error { return os.WriteFile(b.path("toastmaster.index.log"), nil, 0o600) }, "toastmaster.index.log"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, c.files...)
			tries := 0
			o := b.options()
			o.Have = func(_, base string) bool {
				if base == "1.x" {
					tries++
				}
				if tries == 1 {
					must(t, c.change(b))
				}
				return false
			}
			got := b.take(o)
			name, not := strings.CutPrefix(c.want, "!")
			if slices.Contains(got, name) == not || tries > 2 || tries == 1 && !not {
				t.Errorf("after %d tries %q", tries, got)
			}
		})
	}
}

// TestAnAccountThatIsNeverAtRest: who changes it all the time fails the picture after
// the patience, and not with a word that somebody had it locked.
func TestAnAccountThatIsNeverAtRest(t *testing.T) {
	t.Parallel()
	b := newBed(t, "cur/1.x")
	o, n := b.options(), 0
	o.Patience = 0
	o.Have = func(string, string) bool {
		must(t, os.Rename(b.path("cur/1.x"+strings.Repeat("y", n)), b.path("cur/1.x"+strings.Repeat("y", n+1))))
		n++
		return false
	}
	_, err := Take(t.Context(), o)
	if err == nil || errors.Is(err, ErrLocked) || errors.Is(err, ErrNoAccount) || !strings.Contains(err.Error(), "not at rest for 0s") {
		t.Error(err)
	}
	b.empty()
}

// hasty is a clock whose timers fire at once: it moves by what they were set to. It
// notes that, and calls before first, which may say that this timer never fires.
type hasty struct {
	*clocktest.Clock
	pauses []time.Duration
	before func(n int) (fires bool)
}

func (c *hasty) NewTimer(d time.Duration) clock.Timer {
	fires := c.before(len(c.pauses))
	c.pauses = append(c.pauses, d)
	timer := c.Clock.NewTimer(d)
	if fires {
		c.Advance(d)
	}
	return timer
}

// TestWaitsAreBounded: between two tries Take waits longer and longer, up to its last
// pause; it ends with its context, when the patience is over, and when the account goes.
func TestWaitsAreBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		during func(b *bed, cancel func()) (fires bool)
		want   error
	}{
		"nobody lets go":   {func(*bed, func()) bool { return true }, ErrLocked},
		"cancelled":        {func(_ *bed, cancel func()) bool { cancel(); return false }, context.Canceled},
		"the account goes": {func(b *bed, _ func()) bool { must(b.t, os.RemoveAll(b.path(""))); return true }, ErrNoAccount},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, "cur/1.x", "toastmaster.index.log")
			held, err := os.Open(b.path("toastmaster.index.log"))
			must(t, err)
			defer held.Close()
			must(t, syscall.Flock(int(held.Fd()), syscall.LOCK_EX))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			clk := &hasty{Clock: clocktest.New(time.Unix(1e9, 0)), before: func(n int) bool { return n != 3 || c.during(b, cancel) }}
			o := b.options()
			o.Clock, o.Patience = clk, 10*time.Second
			if _, err := Take(ctx, o); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			for i, p := range clk.pauses {
				if want := min(time.Millisecond<<min(i, 10), lastPause); p != want {
					t.Errorf("pause %d is %v, want %v", i, p, want)
				}
			}
			want := 4
			if c.want == ErrLocked {
				want = 8 + 49 // 255 ms, then 200 each until 10 s are over
			}
			if len(clk.pauses) != want {
				t.Errorf("%d pauses, want %d", len(clk.pauses), want)
			}
			b.empty()
		})
	}
}

// TestWhatIsNoMessage: lock files and what is made anew are left out at the top of a
// mailbox only; below it files are somebody's. A home below the home is another one's.
func TestWhatIsNoMessage(t *testing.T) {
	t.Parallel()
	b := newBed(t, "cur/1.x", "cur/.hidden", "new/1.x", "new/sub/2.x", "tmp/3.x", "dovecot-uidlist", "dovecot-uidlist.lock", "x.tmp", "maildirsize", "toastmaster.cache",
		"sieve/x.lock", "sieve/tmp/y", "sieve/maildirsize", "below/cur/4.x", ".Sent/toastmaster.cache", ".Sent/cur/5.x", ".Sent/deep/er/z", ".not/z", "toastmaster.index.log")
	want := []string{"./", ".Sent/", ".Sent/cur/", ".Sent/cur/5.x", ".Sent/deep/", ".Sent/deep/er/", ".Sent/deep/er/z", ".not/", ".not/z", "cur/", "cur/1.x", "dovecot-uidlist",
		"new/", "new/1.x", "sieve/", "sieve/maildirsize", "sieve/tmp/", "sieve/tmp/y", "sieve/x.lock", "tmp/", "toastmaster.index.log"}
	if got := b.take(b.options()); !slices.Equal(got, want) {
		t.Errorf("\n%q, want\n%q", got, want)
	}
}

// TestTwoFilesOfOneMessage are two messages: who has one has not the other.
func TestTwoFilesOfOneMessage(t *testing.T) {
	t.Parallel()
	b := newBed(t, "new/1.x", "cur/1.x:2,S", "cur/2.x:2,")
	var asked []string
	o := b.options()
	o.Have = func(folder, base string) bool { asked = append(asked, folder+"|"+base); return false }
	b.take(o)
	slices.Sort(asked)
	if want := []string{"|1.x", "|1.x:2,S", "|2.x"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

// TestMessages lists without a lock, from where the messages lie.
func TestMessages(t *testing.T) {
	t.Parallel()
	b := newBed(t, "new/1.x", "cur/2.x:2,S", ".Sent/cur/3.x:2,", "toastmaster.index.log", "readme")
	held, err := os.Open(b.path("toastmaster.index.log"))
	must(t, err)
	defer held.Close()
	must(t, syscall.Flock(int(held.Fd()), syscall.LOCK_EX))
	files, err := Messages(b.root, "a")
	must(t, err)
	var got []string
	for _, f := range files {
		text, err := os.ReadFile(f.From)
		if err != nil || string(text) != "a/"+f.Path || !f.Message {
			t.Errorf("%+v has %q, %v", f, text, err)
		}
		got = append(got, f.Folder+"|"+f.Base)
	}
	if want := []string{"|1.x", "|2.x", ".Sent|3.x"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := Messages(b.root, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no account: %v", err)
	}
}

// TestAStageThatIsGone: what is wrong with the stage is said at once, and not tried
// again as if the account were to blame.
func TestAStageThatIsGone(t *testing.T) {
	t.Parallel()
	b := newBed(t, "cur/1.x")
	o := b.options()
	o.Patience, o.Clock = time.Hour, clocktest.New(time.Unix(1e9, 0)) // who waits, waits for ever
	must(t, os.RemoveAll(b.stage.dir))
	if _, err := Take(t.Context(), o); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNoAccount) {
		t.Error(err)
	}
}

// TestDuplicate: a copy has the octets, the mode, the time and the owner of its file.
func TestDuplicate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	text := strings.Repeat("0123456789abcdef", 10_000)
	must(t, os.WriteFile(from, []byte(text), 0o600))
	must(t, os.Chmod(from, 0o640))
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	must(t, os.Chtimes(from, old, old))
	if os.Geteuid() == 0 {
		must(t, os.Chown(from, 1234, 2345))
	}
	must(t, os.WriteFile(to, []byte(text+"of before"), 0o600))
	must(t, duplicate(from, to))
	got, err := os.ReadFile(to)
	must(t, err)
	a, err := os.Stat(from)
	must(t, err)
	b, err := os.Stat(to)
	must(t, err)
	as, bs := a.Sys().(*syscall.Stat_t), b.Sys().(*syscall.Stat_t)
	if string(got) != text || a.Mode() != b.Mode() || !a.ModTime().Equal(b.ModTime()) || as.Uid != bs.Uid || as.Gid != bs.Gid {
		t.Errorf("%d octets, %v %v %d %d", len(got), b.Mode(), b.ModTime(), bs.Uid, bs.Gid)
	}
	if err := duplicate(filepath.Join(dir, "none"), to); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := duplicate(dir, to); err == nil {
		t.Error("a folder was copied")
	}
	if err := duplicate(from, filepath.Join(dir, "none", "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
