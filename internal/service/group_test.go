package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
)

// diary records what services do, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// worker is a service whose behaviour a test chooses.
type worker struct {
	name  string
	diary *diary
	ready chan struct{}
	fail  chan error
	stuck chan struct{} // when set, Run returns only when it is closed
}

func newWorker(name string, d *diary) *worker {
	return &worker{name: name, diary: d, ready: make(chan struct{}), fail: make(chan error, 1)}
}

func (w *worker) Name() string           { return w.name }
func (w *worker) Ready() <-chan struct{} { return w.ready }
func (w *worker) Addrs() []string        { return []string{"here"} }
func (w *worker) Sessions() int          { return 7 }
func (w *worker) Close() error           { w.diary.add("close " + w.name); return nil }

func (w *worker) Run(ctx context.Context) error {
	w.diary.add("run " + w.name)
	close(w.ready)
	select {
	case err := <-w.fail:
		if err != nil && err.Error() == "panic" {
			panic(err)
		}
		return err
	case <-ctx.Done():
	}
	if w.stuck != nil {
		<-w.stuck
	}
	w.diary.add("end " + w.name)
	return nil
}

func runGroup(t *testing.T, g *Group) (stop context.CancelFunc, wait func() error) {
	t.Helper()
	g.Log, g.Clock = msglog.Discard(), clock.System{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(cancel)
	return cancel, func() error {
		t.Helper()
		select {
		case err := <-done:
			return err
		case <-time.After(time.Minute):
			t.Fatal("Run did not return")
			return nil
		}
	}
}

func TestGroupStartsInOrderAndStopsInReverse(t *testing.T) {
	t.Parallel()
	d := &diary{}
	g := &Group{GroupName: "all", Stages: [][]Service{{newWorker("store", d)}, {newWorker("queue", d)}, {newWorker("smtpd", d)}}}
	stop, wait := runGroup(t, g)
	<-g.Ready()
	for _, s := range g.Status() {
		if s.State != Running || s.Sessions != 7 || len(s.Listeners) != 1 {
			t.Errorf("status %+v", s)
		}
	}
	stop()
	if err := wait(); err != nil {
		t.Error(err)
	}
	want := []string{"run store", "run queue", "run smtpd", "end smtpd", "end queue", "end store"}
	if got := d.read(); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	for _, s := range g.Status() {
		if s.State != Stopped {
			t.Errorf("status %+v", s)
		}
	}
}

func TestGroupStopsAtTheFirstFailure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"error", errors.New("disk is gone"), "service b: disk is gone"},
		{"return", nil, "service b: " + errReturned.Error()},
		{"panic", errors.New("panic"), "service b: panic: panic"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := &diary{}
			a, b := newWorker("a", d), newWorker("b", d)
			g := &Group{Stages: [][]Service{{a}, {b}}}
			_, wait := runGroup(t, g)
			<-g.Ready()
			b.fail <- c.err
			if err := wait(); err == nil || err.Error() != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if got := d.read(); !slices.Equal(got, []string{"run a", "run b", "end a"}) {
				t.Errorf("%v", got)
			}
			if s := g.Status()[1]; s.State != Failed || s.Err == nil {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestGroupGivesBackWhatItNeverStarted(t *testing.T) {
	t.Parallel()
	d := &diary{}
	a, b := newWorker("a", d), newWorker("b", d)
	a.ready = nil // never ready
	failing := serviceFunc(func(context.Context) error { return errors.New("no database") })
	_, wait := runGroup(t, &Group{Stages: [][]Service{{failing, never{}}, {b}}})
	if err := wait(); err == nil || !strings.Contains(err.Error(), "no database") {
		t.Errorf("error %v", err)
	}
	if got := d.read(); !slices.Equal(got, []string{"close b"}) {
		t.Errorf("%v", got)
	}
}

type serviceFunc func(ctx context.Context) error

func (serviceFunc) Name() string                    { return "function" }
func (f serviceFunc) Run(ctx context.Context) error { return f(ctx) }

// never becomes ready.
type never struct{}

func (never) Name() string                  { return "never" }
func (never) Ready() <-chan struct{}        { return nil }
func (never) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func TestGroupStopBeforeReadyIsNoError(t *testing.T) {
	t.Parallel()
	g := &Group{Stages: [][]Service{{never{}}}}
	stop, wait := runGroup(t, g)
	waitFor(t, func() bool { s := g.Status(); return len(s) == 1 && s[0].State == Starting })
	stop()
	if err := wait(); err != nil {
		t.Error(err)
	}
	select {
	case <-g.Ready():
		t.Error("ready")
	default:
	}
}

func TestGroupNamesWhoDoesNotStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		a, b := newWorker("a", d), newWorker("b", d)
		b.stuck = make(chan struct{})
		g := &Group{Stages: [][]Service{{a}, {b}}, StopTimeout: 20 * time.Millisecond}
		stop, wait := runGroup(t, g)
		<-g.Ready()
		stop()
		if err := wait(); err == nil || err.Error() != "service b: did not stop in time" {
			t.Errorf("error %v", err)
		}
		if got := d.read(); !slices.Contains(got, "end a") {
			t.Errorf("the stage behind was not stopped: %v", got)
		}
		close(b.stuck)
	})
}

func TestNotifier(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/notify"
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	n := NewNotifier(func(string) string { return path })
	for _, c := range []struct {
		send func() error
		want string
	}{
		{n.Ready, fmt.Sprintf("READY=1\nMAINPID=%d", os.Getpid())},
		{n.Watchdog, "WATCHDOG=1"},
		{n.Reloading, "RELOADING=1\nMONOTONIC_USEC="},
		{n.Stopping, "STOPPING=1"},
	} {
		if err := c.send(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		size, err := socket.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:size]), c.want) {
			t.Errorf("%q %v, want %q", buf[:size], err, c.want)
		}
	}
	none := NewNotifier(func(string) string { return "" })
	if none != nil || none.Ready() != nil {
		t.Error("without NOTIFY_SOCKET there is nobody to tell")
	}
}

// TestAStalledServiceManager does not keep the process from stopping.
func TestAStalledServiceManager(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/notify"
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	n := NewNotifier(func(string) string { return path })
	done := make(chan error, 1)
	go func() {
		for { // until there is no room for more
			if err := n.Ready(); err != nil {
				done <- err
				return
			}
		}
	}()
	select {
	case err := <-done:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it waits for ever")
	}
}

// TestWhyAGroupStops: it is told before anything is stopped.
func TestWhyAGroupStops(t *testing.T) {
	t.Parallel()
	for _, failure := range []bool{false, true} {
		d := &diary{}
		w := newWorker("w", d)
		g := &Group{Stages: [][]Service{{w}}, Log: msglog.Discard(), Clock: clock.System{}}
		g.Stopping = func(why error) { d.add("stopping: " + why.Error()) }
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		<-g.Ready()
		want := []string{"run w", "stopping: a signal", "end w"}
		if failure {
			w.fail <- errors.New("broken")
			want = []string{"run w", "stopping: service w: broken"}
		} else {
			cancel(errors.New("a signal"))
		}
		if err := <-done; (err != nil) != failure {
			t.Error(err)
		}
		cancel(nil)
		if got := d.read(); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	}
}
