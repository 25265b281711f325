package msglog

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/testkit/logtest"
)

// gate is a standard error that takes nothing until it is opened.
type gate struct {
	logtest.Buffer
	open chan struct{}
	came chan struct{} // one for each write that has begun
}

func (g *gate) Write(p []byte) (int, error) {
	g.came <- struct{}{}
	<-g.open
	return g.Buffer.Write(p)
}

func newGate() *gate { return &gate{open: make(chan struct{}), came: make(chan struct{}, 10)} }

// TestAStalledStandardErrorDoesNotStopTheWriter: it says there that lines are lost,
// and goes on when nobody reads that.
func TestAStalledStandardErrorDoesNotStopTheWriter(t *testing.T) {
	t.Parallel()
	l, err := Open(Options{File: "/dev/full", Flush: time.Millisecond, CloseTimeout: limit, Clock: clock.System{}})
	if err != nil {
		t.Fatal(err)
	}
	g := newGate()
	defer close(g.open)
	l.out.aside.out = g
	failed := func() (n int64) {
		l.out.mu.Lock()
		defer l.out.mu.Unlock()
		return l.out.dropped
	}
	l.Warn("one")
	within(t, "the first word", func() { <-g.came })
	until(t, l, "the first line", func() bool { return failed() == 1 })
	l.Warn("two")
	until(t, l, "the second line", func() bool { return failed() >= 2 })
	// A disk that has room again is found though nobody has read the words.
	l.out.mu.Lock()
	l.out.name = t.TempDir() + "/log"
	l.out.mu.Unlock()
	within(t, "Reopen", func() {
		if err := l.Reopen(); err != nil {
			t.Error(err)
		}
	})
	l.Info("three")
	within(t, "Close", func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if text := contents(t, l.out.name); !strings.Contains(text, "three") || !strings.Contains(text, "log lines dropped") {
		t.Error(text)
	}
}

// TestLastWords go to standard error, in order; when nobody reads there, one waits
// for the close timeout and the others not at all.
func TestLastWords(t *testing.T) {
	t.Parallel()
	l, _ := open(t, Options{CloseTimeout: time.Millisecond})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	l.out.closeTimeout, l.out.aside.out = limit, &out
	for _, text := range []string{"one", "two", "three"} {
		l.Info(text)
	}
	if got := out.String(); strings.Count(got, "\n") != 3 || !strings.Contains(got, "one\n") || !strings.HasSuffix(got, "three\n") {
		t.Errorf("%q", got)
	}
	g := newGate()
	l.out.closeTimeout, l.out.aside.out = time.Millisecond, g
	within(t, "Info", func() {
		for range 1000 {
			l.Info("last word")
			l.Event(Removed{ID: "Q", Reason: "done"})
		}
	})
	if n := len(g.came); n != 1 {
		t.Errorf("%d writes were begun", n)
	}
	close(g.open)
	within(t, "the end of the stall", func() { <-l.out.aside.last })
	l.Info("it reads again")
	if got := g.String(); strings.Count(got, "\n") != 2 || !strings.HasSuffix(got, "it reads again\"\n") {
		t.Errorf("%q", got)
	}
}
