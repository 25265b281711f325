package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/identity"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ground is a volume on a disk in memory.
type ground struct {
	*Volume
	disk   *faultfs.Disk
	faults *faultfs.Faults
	clock  *clocktest.Clock
	log    *logtest.Buffer
}

func newGround(t *testing.T, change func(*Options)) *ground {
	t.Helper()
	g := &ground{disk: faultfs.NewDisk(), clock: clocktest.New(time.Unix(1e9, 123456789)), log: &logtest.Buffer{}}
	g.faults = faultfs.Wrap(g.disk)
	o := Options{
		Root: "/mail", FS: g.faults, Clock: g.clock, Log: msglog.New(slog.NewTextHandler(g.log, nil)), Hostname: "mx.test", Config: configs.Default().Store,
	}
	o.Config.Reserve = 0
	if change != nil {
		change(&o)
	}
	check(t, g.disk.MkdirAll("/mail/"+Private, 0o700))
	g.Volume = New(o)
	check(t, g.Open(t.Context()))
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func (g *ground) write(t *testing.T, name, text string) {
	t.Helper()
	f, err := g.disk.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	check(t, err)
	_, err = f.Write([]byte(text))
	check(t, errors.Join(err, f.Close()))
}

func (g *ground) read(t *testing.T, name string) string {
	t.Helper()
	b, err := ReadFile(g.disk, name)
	check(t, err)
	return string(b)
}

// TestCheckpointsPromiseWhatIsSynced: what was noted before a checkpoint is durable
// after it, what came after is not, and one sync serves all who need no more.
func TestCheckpointsPromiseWhatIsSynced(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	syncs := func() int { return g.faults.Count(faultfs.SyncFS) }
	check(t, g.Checkpoint(t.Context()))
	if syncs() != 0 {
		t.Error("a sync of nothing")
	}
	first := g.Points.Changed()
	if g.Points.Durable() >= first {
		t.Fatal("durable before a sync")
	}
	check(t, g.Checkpoint(t.Context()))
	if g.Points.Durable() < first || syncs() != 1 {
		t.Errorf("epoch %d, durable %d, %d syncs", first, g.Points.Durable(), syncs())
	}
	check(t, g.Checkpoint(t.Context()))
	if syncs() != 1 {
		t.Error("a second sync for what one has done")
	}
	second := g.Points.Changed()
	if second <= first || g.Points.Durable() >= second {
		t.Errorf("a change after the sync belongs to epoch %d, durable is %d", second, g.Points.Durable())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Checkpoint(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: %v", err)
	}
	check(t, g.Checkpoint(t.Context()))
	if g.Points.Durable() < second || syncs() != 2 {
		t.Errorf("durable %d after %d syncs", g.Points.Durable(), syncs())
	}
}

// TestNoteDuringASync: a change whose writes end while a sync runs is not among what
// that sync has made durable.
func TestNoteDuringASync(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	g.Points.Changed()
	var during uint64
	g.faults.Hook(func(op faultfs.Op, _ string) error {
		if op == faultfs.SyncFS && during == 0 {
			during = g.Points.Changed()
		}
		return nil
	})
	check(t, g.Checkpoint(t.Context()))
	if during == 0 || g.Points.Durable() >= during {
		t.Fatalf("epoch %d was noted during the sync, durable is %d", during, g.Points.Durable())
	}
	check(t, g.Checkpoint(t.Context()))
	if g.Points.Durable() < during {
		t.Errorf("still not durable: %d, %d", during, g.Points.Durable())
	}
}

// TestManyCheckpointsAtOnce: whoever comes back without an error has what it noted.
func TestManyCheckpointsAtOnce(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				mine := g.Points.Changed()
				if err := g.Checkpoint(t.Context()); err != nil {
					t.Error(err)
					return
				}
				if d := g.Points.Durable(); d < mine {
					t.Errorf("epoch %d, durable %d", mine, d)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := g.faults.Count(faultfs.SyncFS); n > 1600 {
		t.Errorf("%d syncs for 1600 changes", n)
	}
}

// TestASyncThatFailedIsFinal: no later sync is believed, everybody hears it, and a
// store that is elsewhere now is not synced in its place.
func TestASyncThatFailedIsFinal(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(g *ground){
		"a bad disk":          func(g *ground) { g.faults.FailNth(faultfs.SyncFS, 1, syscall.EIO) },
		"a store that is not": func(g *ground) { check(t, g.disk.Rename("/mail/"+Private, "/away")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGround(t, nil)
			mine := g.Points.Changed()
			fail(g)
			if err := g.Checkpoint(t.Context()); !errors.Is(err, ErrNotDurable) || !DSN(err).Temporary() {
				t.Fatal(err)
			}
			select {
			case <-g.Points.Broken():
			default:
				t.Error("nobody who waits is told")
			}
			g.faults.Heal()
			_ = g.disk.Rename("/away", "/mail/"+Private)
			for range 3 {
				if err := g.Checkpoint(t.Context()); !errors.Is(err, ErrNotDurable) {
					t.Errorf("a later checkpoint: %v", err)
				}
			}
			if g.Points.Durable() >= mine || !errors.Is(g.Points.Failure(), ErrNotDurable) {
				t.Errorf("durable %d, %v", g.Points.Durable(), g.Points.Failure())
			}
			// What needs no sync is done still.
			check(t, newGround(t, nil).Checkpoint(t.Context()))
		})
	}
}

// TestCovers: a file is made durable by a sync that began well after it was written.
func TestCovers(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	written := g.clock.Now()
	if g.Points.Covers(written) {
		t.Error("before any sync")
	}
	g.clock.Advance(Tick / 2)
	check(t, g.SyncAll())
	if g.Points.Covers(written) {
		t.Error("within the tick of the clock")
	}
	g.clock.Advance(2 * Tick)
	check(t, g.SyncAll())
	if !g.Points.Covers(written) || g.Points.Covers(g.clock.Now()) {
		t.Error("a later sync covers what is older, and no more")
	}
}

// TestReplaceFile replaces a small file, or leaves it as it was, wherever it fails; a
// file that is half written never has the name, and nothing is left behind.
func TestReplaceFile(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		g := newGround(t, nil)
		g.write(t, "/mail/small", "old")
		g.faults.FailNth(faultfs.Any, n, syscall.ENOSPC)
		err := g.ReplaceFile("/mail", "small", []byte("new"))
		if got := g.read(t, "/mail/small"); got != map[bool]string{true: "new", false: "old"}[err == nil] {
			t.Fatalf("operation %d fails with %v: %q", n, err, got)
		}
		entries, readErr := g.disk.ReadDir("/mail")
		check(t, readErr)
		if len(entries) != 2 {
			t.Errorf("operation %d: %v is left", n, entries)
		}
		if err == nil {
			break
		}
		if !IsFull(err) {
			t.Errorf("%v is not a full disk", err)
		}
	}
	// The real file system says that a folder has the name.
	dir := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(dir, "small"), 0o700))
	v := New(Options{Root: dir, FS: vfs.OS{}, Clock: clocktest.New(time.Unix(1, 0)), Log: msglog.Discard(), Config: configs.Default().Store})
	if err := v.ReplaceFile(dir, "small", nil); !errors.Is(err, ErrNoFile) || !Odd(err) {
		t.Errorf("over a folder: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v is left, %v", entries, err)
	}
}

// TestReplaceLocked: Dovecot's lock is kept, unless it is stale, from the past or from
// the future; a failure leaves no lock behind.
func TestReplaceLocked(t *testing.T) {
	t.Parallel()
	text := func(s string) func() ([]byte, error) { return func() ([]byte, error) { return []byte(s), nil } }
	g := newGround(t, nil)
	now := g.clock.Now()
	done, err := g.ReplaceLocked("/mail/list", text("one"))
	if !done || err != nil || g.read(t, "/mail/list") != "one" {
		t.Fatal(done, err)
	}
	for age, want := range map[time.Duration]bool{time.Second: false, -time.Second: false, staleLock + time.Second: true, -staleLock - time.Second: true} {
		g.write(t, "/mail/list.lock", "")
		check(t, g.disk.Chtimes("/mail/list.lock", now, now.Add(-age)))
		value := fmt.Sprint("age ", age)
		done, err := g.ReplaceLocked("/mail/list", text(value))
		if done != want || err != nil || (g.read(t, "/mail/list") == value) != want {
			t.Errorf("a lock of age %v: %v, %v", age, done, err)
		}
		_ = g.disk.Remove("/mail/list.lock")
	}
	bad := errors.New("no data")
	if done, err := g.ReplaceLocked("/mail/list", func() ([]byte, error) { return nil, bad }); done || !errors.Is(err, bad) {
		t.Errorf("%v, %v", done, err)
	}
	for n := 1; n < 5; n++ {
		g.faults.Reset()
		g.faults.FailNth(faultfs.Any, n, syscall.EIO)
		before := g.read(t, "/mail/list")
		done, err := g.ReplaceLocked("/mail/list", text("next"))
		g.faults.Heal()
		if !done && g.read(t, "/mail/list") != before || done && err != nil {
			t.Errorf("operation %d: %v, %v, %q", n, done, err, g.read(t, "/mail/list"))
		}
		if there, _ := Exists(g.disk, "/mail/list.lock"); there {
			t.Errorf("operation %d: the lock is left, nobody can write for two minutes", n)
		}
	}
}

// TestOddFiles: what is no regular file is refused by name and is about that file
// alone; a missing small file is empty.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe, link, file := filepath.Join(dir, "pipe"), filepath.Join(dir, "link"), filepath.Join(dir, "file")
	check(t, unix.Mkfifo(pipe, 0o600))
	check(t, os.WriteFile(file, []byte("text"), 0o600))
	check(t, os.Symlink(file, link))
	check(t, os.Symlink("round", filepath.Join(dir, "round")))
	for name, odd := range map[string]bool{pipe: true, dir: true, filepath.Join(dir, "round"): true, filepath.Join(file, "below"): true, link: false, file: false} {
		f, err := OpenRegular(vfs.OS{}, name, os.O_RDONLY)
		if (err != nil) != odd || err != nil && !Odd(err) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if f.Info.Size() != 4 {
				t.Errorf("%s has %d octets", name, f.Info.Size())
			}
			check(t, f.Close())
		}
	}
	for _, err := range []error{nil, io5(), fs.ErrNotExist, syscall.ENOSPC} {
		if Odd(err) {
			t.Errorf("%v is said to be about one file", err)
		}
	}
	if b, err := ReadFile(vfs.OS{}, filepath.Join(dir, "none")); err != nil || len(b) != 0 {
		t.Errorf("a missing file: %q, %v", b, err)
	}
	if s, err := FileStamp(vfs.OS{}, filepath.Join(dir, "none")); err != nil || s != (Stamp{}) {
		t.Errorf("its stamp: %v, %v", s, err)
	}
	before, err := FileStamp(vfs.OS{}, file)
	check(t, err)
	check(t, os.WriteFile(file, []byte("longer text"), 0o600))
	if after, err := FileStamp(vfs.OS{}, file); err != nil || after == before {
		t.Errorf("the stamp does not tell a change: %v", err)
	}
	if there, err := Exists(vfs.OS{}, filepath.Join(file, "below")); there || err != nil {
		t.Errorf("below a file: %v, %v", there, err)
	}
}

func io5() error { return &fs.PathError{Op: "read", Path: "x", Err: syscall.EIO} }

// TestRemoveAllStaysInside: a tree goes with all that is in it, and nothing that a
// link in it leads to.
func TestRemoveAllStaysInside(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	outside := filepath.Join(root, "outside")
	check(t, os.MkdirAll(filepath.Join(outside, "cur"), 0o700))
	check(t, os.WriteFile(filepath.Join(outside, "cur", "mail"), []byte("x"), 0o600))
	tree := filepath.Join(root, "tree")
	check(t, os.MkdirAll(filepath.Join(tree, "a", "b"), 0o700))
	check(t, os.WriteFile(filepath.Join(tree, "a", "b", "c"), nil, 0o600))
	check(t, os.Symlink(outside, filepath.Join(tree, "a", "link")))
	check(t, os.Symlink("nowhere", filepath.Join(tree, "dangling")))
	check(t, RemoveAll(vfs.OS{}, tree))
	if _, err := os.Lstat(tree); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the tree: %v", err)
	}
	check(t, RemoveAll(vfs.OS{}, tree)) // it is not there: done
	link := filepath.Join(root, "link")
	check(t, os.Symlink(outside, link))
	check(t, RemoveAll(vfs.OS{}, link))
	if b, err := os.ReadFile(filepath.Join(outside, "cur", "mail")); err != nil || string(b) != "x" {
		t.Errorf("what the link led to: %q, %v", b, err)
	}
}

// TestRealHome: a home with a link anywhere in its way is refused with a text that
// says what to do; one that is not there yet is nobody's mistake.
func TestRealHome(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	v := New(Options{Root: root, FS: vfs.OS{}, Clock: clocktest.New(time.Unix(1, 0)), Log: msglog.Discard(), Config: configs.Default().Store})
	check(t, os.MkdirAll(filepath.Join(root, "d.test", "alice"), 0o700))
	check(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o600))
	check(t, os.Symlink("alice", filepath.Join(root, "d.test", "bob")))
	check(t, os.Symlink("d.test", filepath.Join(root, "alias.test")))
	check(t, os.Symlink("nowhere", filepath.Join(root, "d.test", "dangling")))
	for home, ok := range map[string]bool{
		"d.test/alice": true, "d.test/new": true, "new.test/new": true, "file/below": true,
		"d.test/bob": false, "d.test/bob/sub": false, "alias.test/alice": false, "d.test/dangling": false,
	} {
		err := v.RealHome(filepath.Join(root, home))
		if (err == nil) != ok {
			t.Errorf("%s: %v", home, err)
		}
		if err != nil && !strings.Contains(err.Error(), "symbolic link") {
			t.Errorf("%s: %v", home, err)
		}
	}
}

// TestMaildirsAreMended: folders of a Maildir that somebody removed are made again and
// the log says so; what never was a Maildir is not made one.
func TestMaildirsAreMended(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	check(t, g.disk.MkdirAll("/mail/a", 0o700))
	if there, err := g.IsMaildir("/mail/a"); there || err != nil {
		t.Fatal(there, err)
	}
	missing := &fs.PathError{Op: "open", Path: "/mail/a/new", Err: fs.ErrNotExist}
	if err := g.Mend("/mail/a", missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is none: %v", err)
	}
	check(t, g.MakeMissing("/mail/a"))
	if there, err := g.IsMaildir("/mail/a"); !there || err != nil {
		t.Fatal(there, err)
	}
	for _, gone := range []string{"new", "tmp", "cur"} {
		g.write(t, "/mail/a/maildirfolder", "")
		check(t, g.disk.Remove("/mail/a/"+gone))
		check(t, g.Mend("/mail/a", missing))
		if there, err := Exists(g.disk, "/mail/a/"+gone); !there || err != nil {
			t.Errorf("%s was not made: %v", gone, err)
		}
	}
	if !strings.Contains(g.log.String(), "path=/mail/a") {
		t.Error("the log says nothing")
	}
	if err := g.Mend("/mail/a", io5()); !errors.Is(err, syscall.EIO) {
		t.Errorf("an error of the disk was mended: %v", err)
	}
	if err := g.Mend("/mail/none", missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a Maildir was made that there was not: %v", err)
	}
	if there, _ := Exists(g.disk, "/mail/none"); there {
		t.Error("and is there")
	}
}

// TestReserve: on a full disk there is room for deletions, piece by piece, until there
// is none; with room again it is made whole, and the log says both once.
func TestReserve(t *testing.T) {
	t.Parallel()
	g := newGround(t, func(o *Options) { o.Config.Reserve = 4 * reservePiece })
	size := func() int64 {
		info, err := g.disk.Stat(g.ReserveFile())
		check(t, err)
		return info.Size()
	}
	if size() != 4*reservePiece {
		t.Fatalf("%d octets", size())
	}
	tries := 0
	check(t, g.WithReserve(func() error {
		if tries++; tries < 3 {
			return syscall.ENOSPC
		}
		return nil
	}))
	if size() != 2*reservePiece || tries != 3 {
		t.Errorf("%d octets after %d tries", size(), tries)
	}
	if err := g.WithReserve(func() error { return io5() }); !errors.Is(err, syscall.EIO) || size() != 2*reservePiece {
		t.Errorf("room was given for another error: %v", err)
	}
	if err := g.WithReserve(func() error { return syscall.ENOSPC }); !IsFull(err) || size() != 0 {
		t.Errorf("%v, %d octets are left", err, size())
	}
	if g.GiveRoom() {
		t.Error("it gives what it has not")
	}
	g.disk.Limit(g.disk.Used())
	g.FillReserve(false)
	g.FillReserve(false)
	if n := strings.Count(g.log.String(), "no room for the reserve"); n != 1 {
		t.Errorf("the log says %d times that there is no room", n)
	}
	g.disk.Limit(1 << 30)
	g.FillReserve(false)
	if size() != 4*reservePiece || strings.Count(g.log.String(), "the disk is full") != 1 || !strings.Contains(g.log.String(), "there is room for deletions again") {
		t.Errorf("%d octets, log %s", size(), g.log)
	}
	before := g.faults.Count(faultfs.Allocate)
	g.FillReserve(false)
	if g.faults.Count(faultfs.Allocate) != before {
		t.Error("a whole reserve is made again")
	}
}

// TestPresent: a store that was unmounted, or has another one in its place, is absent;
// one that cannot be read is neither.
func TestPresent(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	check(t, g.Present())
	check(t, g.disk.Rename("/mail/"+Private, "/away"))
	if err := g.Present(); !errors.Is(err, ErrAbsent) {
		t.Errorf("unmounted: %v", err)
	}
	check(t, g.disk.Rename("/away", "/mail/"+Private))
	g.faults.FailFrom(faultfs.Stat, 1, syscall.EIO)
	if err := g.Present(); err == nil || errors.Is(err, ErrAbsent) {
		t.Errorf("a disk that fails: %v", err)
	}

	id, other := identity.New(), identity.New()
	known := newGround(t, func(o *Options) { o.Instance = id })
	own := "/mail/" + Private
	if err := known.Present(); !errors.Is(err, ErrAbsent) {
		t.Errorf("without a mark: %v", err)
	}
	check(t, identity.Write(known.disk, own, id))
	check(t, known.Present())
	check(t, identity.Write(known.disk, own, other))
	if err := known.Present(); !errors.Is(err, ErrAbsent) {
		t.Errorf("another store: %v", err)
	}
}

// TestUniqueNames never repeat, not in another process with this one's number either,
// and are known as ours.
func TestUniqueNames(t *testing.T) {
	t.Parallel()
	a, b := newGround(t, nil), newGround(t, nil)
	seen := map[string]bool{}
	for range 1000 {
		for _, v := range []*ground{a, b} {
			seconds, name := v.UniqueName()
			if seconds != 1e9 || seen[name] || !IsUnique(name) || strings.ContainsAny(name, "/:,. ") {
				t.Fatalf("%d %s", seconds, name)
			}
			seen[name] = true
		}
	}
	for _, foreign := range []string{"", "M1P2", "V801I5M3", "1P2R3Q4", "M1R2Q3"} {
		if IsUnique(foreign) {
			t.Errorf("%q is taken for ours", foreign)
		}
	}
	if a.Host() != "mx.test" {
		t.Error(a.Host())
	}
}

// TestSayOnce: an odd file is told once, and what is remembered has a bound.
func TestSayOnce(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	for range 3 {
		g.SayOnce("/mail/odd", "why", io5())
		g.SayOnce("/mail/other", "why", nil)
	}
	if n := strings.Count(g.log.String(), "\n"); n != 2 {
		t.Errorf("%d lines: %s", n, g.log)
	}
	// What passes by itself is no news, and hides none.
	for _, passing := range []error{fmt.Errorf("x: %w", ErrBusy), context.Canceled, context.DeadlineExceeded} {
		g.SayOnce("/mail/records", "why", passing)
	}
	g.SayOnce("/mail/records", "why", io5())
	g.SayOnce("/mail/odd", "why else", nil)
	if log := g.log.String(); strings.Count(log, "\n") != 4 || !strings.Contains(log, "input/output error") || !strings.Contains(log, "why else") {
		t.Errorf("%s", log)
	}
	for i := range maxSaid + 10 {
		g.SayOnce(fmt.Sprint(i), "x", nil)
	}
	if n := len(g.odd.texts); n > maxSaid {
		t.Errorf("%d are remembered", n)
	}
}

// TestErrorsHaveAStatus: each error of the store as a delivery hears it: what is
// permanent, and that everything unknown is temporary.
func TestErrorsHaveAStatus(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		ErrOverQuota: "5.2.2", ErrFull: "4.3.1", ErrNotFound: "4.3.0", ErrBusy: "4.3.0", ErrAbsent: "4.3.0", ErrNotDurable: "4.3.0", ErrClosed: "4.3.0",
		ErrLittleRoom: "4.3.0", errors.New("x"): "4.3.0",
	} {
		e := DSN(fmt.Errorf("deliver: %w", err))
		if e.Status.String() != want || !errors.Is(e, err) || strings.Contains(e.Text, "deliver") {
			t.Errorf("%v: %s %q", err, e.Status, e.Text)
		}
	}
	if DSN(nil) != nil {
		t.Error("nil is an error")
	}
	already := dsn.New(dsn.LoopDetected, "loop")
	if got := DSN(fmt.Errorf("x: %w", already)); got != already {
		t.Errorf("%v", got)
	}
	for err, want := range map[error]error{
		syscall.ENOSPC: ErrFull, syscall.EDQUOT: ErrFull, vfs.ErrLocked: ErrBusy,
	} {
		got := Err(fmt.Errorf("write: %w", err))
		if !errors.Is(got, want) || !errors.Is(got, err) || errors.Is(Err(got), errors.ErrUnsupported) {
			t.Errorf("%v became %v", err, got)
		}
		if twice := Err(got); twice.Error() != got.Error() {
			t.Errorf("twice: %v", twice)
		}
	}
	if Err(nil) != nil || !errors.Is(Err(io5()), syscall.EIO) {
		t.Error("another error was changed")
	}
	for _, e := range []error{ErrTooManyFolders, ErrFolderName, ErrTooManySubscriptions, ErrLittleRoom} {
		if !errors.Is(e, ErrLimit) {
			t.Errorf("%v is no limit", e)
		}
	}
}

// TestPlacesAreInOrder: the table of the locks is ascending, and each has a name.
func TestPlacesAreInOrder(t *testing.T) {
	t.Parallel()
	names, last := map[string]bool{}, 0
	for _, p := range Ranks() {
		if p.Name == "" || names[p.Name] || p.At < last {
			t.Errorf("%+v after %d", p, last)
		}
		names[p.Name], last = true, p.At
	}
	if len(names) < 11 {
		t.Errorf("%d ranks", len(names))
	}
}

// TestLastHasATime: last work is nobody's request and does not take for ever.
func TestLastHasATime(t *testing.T) {
	t.Parallel()
	g := newGround(t, func(o *Options) { o.Config.CloseTimeout = time.Hour })
	ctx, cancel := g.Last()
	if d, ok := ctx.Deadline(); !ok || time.Until(d) > time.Hour || time.Until(d) < 50*time.Minute || ctx.Err() != nil {
		t.Errorf("%v %v %v", d, ok, ctx.Err())
	}
	cancel()
	if New(Options{Config: configs.Store{Separator: "."}}).Separator != '.' || g.Separator != '/' {
		t.Error("the separator is not the configuration's")
	}
}
