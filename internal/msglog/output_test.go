package msglog

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
)

// settled waits until all lines are written.
func settled(l *Log) {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	l.out.settle()
}

// writing is how much is being written.
func writing(l *Log) int {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	return len(l.out.flight)
}

func TestLinesWaitForTheFlushTime(t *testing.T) {
	t.Parallel()
	l, file := open(t, Options{Buffer: 1 << 16, Flush: 5 * time.Millisecond, Clock: clock.System{}})
	l.Event(Removed{ID: "Q1", Reason: "done"})
	until(t, l, "the line", func() bool { return strings.Contains(contents(t, file), "Q1") })
}

func TestWarningsAreWrittenAtOnceWithWhatWaits(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{Text, JSON} {
		// By time nothing is written for an hour.
		l, file := open(t, Options{Buffer: 1 << 16, Format: format})
		l.Event(Removed{ID: "Q1", Reason: "done"})
		l.With("a", "b").WithGroup("g").Warn("now")
		until(t, l, "the file", func() bool { return strings.Contains(contents(t, file), "now") })
		if got := contents(t, file); !strings.Contains(got, "Q1") {
			t.Errorf("%d: %s", format, got)
		}
	}
}

func TestNoLineIsLostOrTorn(t *testing.T) {
	t.Parallel()
	const writers, lines = 4, 2000
	l, file := open(t, Options{Buffer: 1 << 20, Flush: time.Millisecond, Clock: clock.System{}})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range lines {
				l.Event(Removed{ID: "Q", Reason: fmt.Sprintf("%d-%d", w, i)})
				if w == 0 && i%500 == 0 {
					if err := l.Reopen(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(contents(t, file), "\n"), "\n")
	if len(got) != writers*lines {
		t.Fatalf("%d lines", len(got))
	}
	next := map[string]int{}
	for _, line := range got {
		_, reason, ok := strings.Cut(line, "removed id=Q reason=")
		writer, i, _ := strings.Cut(reason, "-")
		if !ok || i != fmt.Sprint(next[writer]) {
			t.Fatalf("line %q, want number %d of it", line, next[writer])
		}
		next[writer]++
	}
}

func TestReopenFollowsRotation(t *testing.T) {
	t.Parallel()
	l, file := open(t, Options{Buffer: 1 << 16})
	l.Event(Removed{ID: "old", Reason: "done"})
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Event(Removed{ID: "new", Reason: "done"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, file+".1"); !strings.Contains(got, "id=old") || strings.Contains(got, "id=new") {
		t.Errorf("old file: %s", got)
	}
	if got := contents(t, file); !strings.Contains(got, "id=new") {
		t.Errorf("new file: %s", got)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestALineLongerThanTheBuffer(t *testing.T) {
	t.Parallel()
	l, file := open(t, Options{Buffer: 100})
	long := strings.Repeat("y", 200<<10)
	for _, line := range []string{"before", long, "after"} {
		l.Info(line)
		settled(l)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, file); !strings.Contains(got, long) || strings.Count(got, "\n") != 3 {
		t.Errorf("%d octets", len(got))
	}
}

// TestLostLinesAreCounted: a file that cannot be written, and can again.
func TestLostLinesAreCounted(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	l, file := open(t, Options{Registry: registry, Buffer: 1 << 16})
	// Nothing but a closed file fails on any machine and for any user.
	_ = l.out.writer.file.Close()
	for _, id := range []string{"a", "b"} {
		l.Event(Removed{ID: envelope.QueueID(id), Reason: "done"})
		l.out.urge()
		until(t, l, "the failure", func() bool { return l.Health() != nil && writing(l) == 0 })
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	if err := l.Health(); err != nil && !strings.Contains(err.Error(), "too slow") {
		t.Errorf("after it was opened again: %v", err)
	}
	l.Warn("good")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lost := value(t, registry, "toastmaster_log_lines_lost_total")
	if got := contents(t, file); lost < 2 || !strings.Contains(got, `"log lines dropped" lines=`) || !strings.Contains(got, "good") {
		t.Errorf("%v lost, the log says %s", lost, got)
	}
}
