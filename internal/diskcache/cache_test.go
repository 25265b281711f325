package diskcache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/internal/vfs"
)

var start = time.Unix(1_800_000_000, 0)

// rig is a cache on a disk that can fail.
type rig struct {
	t     *testing.T
	disk  vfs.FS
	clock *clocktest.Clock
	log   *logtest.Buffer
	limit int
}

func newRig(t *testing.T) *rig {
	return &rig{t: t, disk: faultfs.NewDisk(), clock: clocktest.New(start), log: &logtest.Buffer{}, limit: 1000}
}

func (r *rig) options() Options {
	return Options{Path: "/cache", Limit: r.limit, FS: r.disk, Clock: r.clock, Log: msglog.New(slog.NewTextHandler(r.log, nil))}
}

func (r *rig) open() *Cache {
	r.t.Helper()
	c, err := Open(r.options())
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// file is what is on the disk.
func (r *rig) file() string {
	r.t.Helper()
	f, err := r.disk.OpenFile("/cache", os.O_RDONLY, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, 1<<20)
	n, _ := f.Read(b)
	return string(b[:n])
}

func (r *rig) write(text string) {
	r.t.Helper()
	f, err := r.disk.OpenFile("/cache", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = f.Write([]byte(text))
	if err := errors.Join(err, f.Close()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) want(c *Cache, key, value string) {
	r.t.Helper()
	if got, ok := c.Get(key); got != value || ok != (value != "") {
		r.t.Errorf("%q is %q, %v; want %q", key, got, ok, value)
	}
}

func TestEntriesEndAndSurviveARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.open()
	c.Put("short", "1", start.Add(time.Minute))
	c.Put("long\tand\nodd", "2\t\xff", start.Add(time.Hour))
	c.Put("gone", "3", start.Add(time.Hour))
	c.Delete("gone")
	c.save()
	c = r.open()
	r.want(c, "short", "1")
	r.want(c, "long\tand\nodd", "2\t\xff")
	r.want(c, "gone", "")
	r.clock.Advance(time.Minute)
	r.want(c, "short", "")
	c.Put("long\tand\nodd", "4", start.Add(2*time.Hour))
	c.save()
	if got := strings.Count(r.file(), "\n"); got != 4 { // header, two, and the change behind them
		t.Errorf("%d lines: %s", got, r.file())
	}
	r.want(r.open(), "long\tand\nodd", "4")
	c.Delete("long\tand\nodd")
	c.save()
	if c = r.open(); c.Len() != 0 {
		t.Errorf("%d entries are left", c.Len())
	}
}

// TestWhatEndsFirstMakesRoom: the number is bounded, and a flood of short entries pushes
// out its own kind.
func TestWhatEndsFirstMakesRoom(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.limit = 1000
	c := r.open()
	for i := range 300 {
		c.Put(fmt.Sprintf("good%d", i), "x", start.Add(time.Hour))
	}
	for i := range 10_000 {
		c.Put(fmt.Sprintf("flood%d", i), "x", start.Add(time.Minute))
	}
	kept := 0
	for i := range 300 {
		if _, ok := c.Get(fmt.Sprintf("good%d", i)); ok {
			kept++
		}
	}
	if c.Len() != 1000 || kept < 280 {
		t.Errorf("%d entries, %d of 300 that hold longer", c.Len(), kept)
	}
	c.save()
	if c = r.open(); c.Len() != 1000 {
		t.Errorf("%d entries came back", c.Len())
	}
}

// TestTheFileIsMadeAnew: it does not grow with the changes.
func TestTheFileIsMadeAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.open()
	for range 5000 {
		c.Put("a", "b", start.Add(time.Hour))
		c.save()
	}
	if n := strings.Count(r.file(), "\n"); n > 1100 {
		t.Errorf("%d lines for one entry", n)
	}
	r.want(r.open(), "a", "b")
}

func TestDamagedLinesAreLeftOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	good := "1800000060\t\"a\"\t\"1\"\n"
	for name, text := range map[string]string{
		"torn":     header + good + "1800000060\t\"b\"\t\"1\"",
		"no tabs":  header + good + "nonsense\n",
		"no quote": header + good + "1800000060\tb\t1\n",
		"too long": header + good + strings.Repeat("x", 3*maxLine) + "\n",
		"zeros":    header + good + strings.Repeat("\x00", 512),
	} {
		r.write(text)
		c := r.open()
		if r.want(c, "a", "1"); c.Len() != 1 || !strings.Contains(r.log.String(), "lines=1") {
			t.Errorf("%s: %d entries, log %s", name, c.Len(), r.log.String())
		}
		// What cannot be read does not stay in front of what is written behind it.
		c.Put("c", "3", start.Add(time.Hour))
		c.save()
		c = r.open()
		r.want(c, "a", "1")
		r.want(c, "c", "3")
	}
	for _, text := range []string{"", "toastm"} {
		r.write(text)
		if c := r.open(); c.Len() != 0 {
			t.Errorf("%d entries in an empty file", c.Len())
		}
	}
	r.write("127.0.0.1 localhost\n")
	if _, err := Open(r.options()); err == nil || !strings.Contains(err.Error(), "/cache: this is no cache") {
		t.Errorf("a file of somebody else: %v", err)
	}
}

// TestAFailingDiskIsOneLine: memory goes on, and the file is whole again afterwards.
func TestAFailingDiskIsOneLine(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	faults := faultfs.Wrap(r.disk)
	r.disk = faults
	c := r.open()
	c.Put("a", "1", start.Add(time.Hour))
	c.save()
	faults.FailFrom(faultfs.Write, 1, errors.New("input/output error"))
	for i := range 3 {
		c.Put(fmt.Sprint("b", i), "2", start.Add(time.Hour))
		c.save()
	}
	r.want(c, "b0", "2")
	if n := strings.Count(r.log.String(), "cannot be written"); n != 1 {
		t.Errorf("%d lines: %s", n, r.log.String())
	}
	faults.Heal()
	c.save()
	c = r.open()
	r.want(c, "a", "1")
	r.want(c, "b2", "2")
}

func TestRunWritesInItsTimeAndAtTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.open()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	if err := r.clock.WaitTimers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.Put("a", "1", start.Add(time.Hour))
	r.clock.Advance(10 * time.Second)
	if err := r.clock.WaitTimers(t.Context(), 1); err != nil { // it was set again behind the write
		t.Fatal(err)
	}
	r.want(r.open(), "a", "1")
	c.Put("b", "2", start.Add(time.Hour))
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.want(r.open(), "b", "2")
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(header + "1800000060\t\"a\"\t\"1\"\n"))
	f.Add([]byte(header + "0\t\"a\"\t\"\"\n1800000060\t\"\"\t\"\"\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := newRig(t)
		r.limit = 3
		r.write(string(text))
		c, err := Open(r.options())
		if err != nil {
			return
		}
		c.Put("new", "value", start.Add(time.Hour))
		before := map[string]entry{}
		for k, e := range c.entries {
			before[k] = e
		}
		c.save()
		c = r.open()
		if len(before) > 3 || len(c.entries) != len(before) {
			t.Fatalf("%d entries, %d came back", len(before), len(c.entries))
		}
		for k, e := range before {
			if got := c.entries[k]; got.value != e.value || !got.until.Equal(e.until) {
				t.Fatalf("%q: %v became %v", k, e, got)
			}
		}
	})
}
