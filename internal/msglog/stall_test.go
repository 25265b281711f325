package msglog

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"toastmaster/internal/clock"
)

// limit is for what must happen at once; nothing is measured by it.
const limit = 30 * time.Second

// within fails when f does not return.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("%s waits", what)
	}
}

// until returns as soon as ok holds; it looks again after each write.
func until(t *testing.T, l *Log, what string, ok func() bool) {
	t.Helper()
	late := time.After(limit)
	for {
		l.out.mu.Lock()
		written := l.out.changed
		l.out.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-written:
		case <-late:
			t.Fatalf("%s waits", what)
		}
	}
}

// moving is a clock that the test moves. Its timers are the machine's.
type moving struct {
	clock.System
	ahead atomic.Int64
}

func (m *moving) Now() time.Time { return time.Unix(1_700_000_000, m.ahead.Load()) }

// stalled is a log on a pipe that nobody reads until the test does.
func stalled(t *testing.T, o Options) (*Log, *os.File) {
	t.Helper()
	o.File = filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(o.File, 0o600); err != nil {
		t.Fatal(err)
	}
	// Read and write, so that neither side waits for the other.
	reader, err := os.OpenFile(o.File, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Flush == 0 {
		o.Flush = time.Millisecond
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = limit
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return l, reader
}

// TestAReaderThatStallsStopsNobody: lines are dropped beyond the buffer, counted,
// and said when the reader goes on; what comes out is in order and whole.
func TestAReaderThatStallsStopsNobody(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{Text, JSON} {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			t.Parallel()
			const lines = 20000
			registry := prometheus.NewRegistry()
			l, reader := stalled(t, Options{Buffer: 64 << 10, Format: format, Registry: registry})
			within(t, "Event", func() {
				for i := range lines {
					if i%7 == 0 {
						l.Warn("warning", "n", i)
						continue
					}
					l.Event(Removed{ID: "Q", Reason: fmt.Sprint("n=", i)})
				}
			})
			if err := l.Health(); err == nil || !strings.Contains(err.Error(), "dropped") {
				t.Errorf("health: %v", err)
			}
			dropped := value(t, registry, "toastmaster_log_lines_lost_total")
			if dropped == 0 || dropped >= lines {
				t.Fatalf("%v of %d dropped", dropped, lines)
			}
			var got []string
			read := make(chan struct{})
			in := bufio.NewScanner(reader)
			go func() {
				defer close(read)
				for in.Scan() && !strings.Contains(in.Text(), "the last") {
					got = append(got, in.Text())
				}
			}()
			number := regexp.MustCompile(`n"?[=:](\d+)`)
			// The buffer has room as soon as it was written.
			until(t, l, "the buffer", func() bool { return l.Health() == nil })
			l.Warn("the last")
			within(t, "the reader", func() { <-read })
			last, noticed, seen := -1, 0, 0
			dropping := regexp.MustCompile(`log lines dropped".*lines"?[=:](\d+)`)
			for i, line := range got {
				if m := dropping.FindStringSubmatch(line); m != nil {
					n, _ := strconv.Atoi(m[1])
					noticed += n
					continue
				}
				m := number.FindStringSubmatch(line)
				var n int
				if m == nil {
					t.Fatalf("line %d is torn: %q", i, line)
				}
				if _, err := fmt.Sscan(m[1], &n); err != nil || n <= last {
					t.Fatalf("line %d after %d: %q", n, last, line)
				}
				last = n
				seen++
			}
			if noticed != int(dropped) || seen+noticed != lines {
				t.Errorf("%d lines and %d in notices, %v dropped", seen, noticed, dropped)
			}
			within(t, "Close", func() {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestCloseDoesNotWaitForever: a stop ends though the reader has stalled, and
// says so.
func TestCloseDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	l, reader := stalled(t, Options{Buffer: 64 << 10, CloseTimeout: 10 * time.Millisecond})
	within(t, "Event and Close", func() {
		for range 20000 {
			l.Event(Removed{ID: "Q", Reason: "done"})
		}
		if err := l.Close(); err == nil || !strings.Contains(err.Error(), "not written") {
			t.Errorf("close: %v", err)
		}
		l.Info("later")
	})
	// The one who writes ends when it can.
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	within(t, "the writer", func() { <-l.out.writer.done })
}

// TestReopenLeavesAStalledFile: a rotation ends the stall.
func TestReopenLeavesAStalledFile(t *testing.T) {
	t.Parallel()
	l, reader := stalled(t, Options{Buffer: 64 << 10, CloseTimeout: 10 * time.Millisecond})
	old := l.out.writer
	within(t, "Event", func() {
		for range 20000 {
			l.Event(Removed{ID: "Q", Reason: "done"})
		}
	})
	file := l.out.name
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	within(t, "Reopen", func() {
		if err := l.Reopen(); err != nil {
			t.Error(err)
		}
	})
	until(t, l, "the new file", func() bool { return l.Health() == nil })
	l.Info("new")
	// It took its time to leave the old file; the new one may have what it needs.
	l.out.mu.Lock()
	l.out.closeTimeout = limit
	l.out.mu.Unlock()
	within(t, "Close", func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if got := contents(t, file); !strings.Contains(got, "new") || !strings.Contains(got, "log lines dropped") {
		t.Errorf("%.300s", got)
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	within(t, "the old writer", func() { <-old.done })
}

// TestAnOldStallIsSeen: also while there is room in the buffer.
func TestAnOldStallIsSeen(t *testing.T) {
	t.Parallel()
	clk := &moving{}
	l, reader := stalled(t, Options{Buffer: 1 << 20, Clock: clk})
	for writing(l) == 0 { // until the pipe is full
		l.Warn(strings.Repeat("x", 1000))
	}
	if err := l.Health(); err != nil {
		t.Errorf("at once: %v", err)
	}
	clk.ahead.Store(int64(stallTime))
	if err := l.Health(); err == nil || !strings.Contains(err.Error(), "stalled") {
		t.Errorf("later: %v", err)
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
