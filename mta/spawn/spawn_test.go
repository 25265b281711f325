package spawn

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/testkit/logtest"
)

// me is a user that this process can be.
func me() string {
	if os.Geteuid() == 0 {
		return "nobody"
	}
	return fmt.Sprintf("%d:%d", os.Geteuid(), os.Getegid())
}

func started(t *testing.T, p configs.Spawn) (address string, s *service.Server, stop func()) {
	t.Helper()
	return startedWith(t, p, msglog.Discard())
}

func startedWith(t *testing.T, p configs.Spawn, log *msglog.Log) (address string, s *service.Server, stop func()) {
	t.Helper()
	d, err := New(Options{Params: p, Log: log, Clock: clock.System{}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = &service.Server{
		ServiceName: "spawn/x", Listeners: []service.Listener{{Listener: l}}, Handler: d, Log: msglog.Discard(), Clock: clock.System{},
		Limits: service.Limits{Connections: p.ProcessLimit, DrainTimeout: p.DrainTimeout},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return l.Addr().String(), s, stop
}

func ask(t *testing.T, address, text string) (string, error) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, text)
	all, err := io.ReadAll(c)
	return string(all), err
}

// TestEachConnectionHasACommand: and many at once have one each.
func TestEachConnectionHasACommand(t *testing.T) {
	t.Parallel()
	address, _, stop := started(t, configs.Spawn{Name: "x", User: me(), Argv: []string{"/bin/sh", "-c", `read line; echo "$0 $line"`, "an argument"}, TimeLimit: time.Minute, ProcessLimit: 100})
	defer stop()
	done := make(chan error, 20)
	for n := range 20 {
		go func() {
			got, err := ask(t, address, fmt.Sprintln(n))
			if want := fmt.Sprintf("an argument %d\n", n); got != want {
				err = fmt.Errorf("%q, want %q: %w", got, want, err)
			}
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestWhatDoesNotStartIsInTheLog: a program that is not there, a file that is none; the peer sees the end alone.
func TestWhatDoesNotStartIsInTheLog(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]string{"/no/such/program": "/no/such/program: No such file", "no-such-program-here": "no-such-program-here: No such file", "/etc/passwd": "/etc/passwd: Permission denied"} {
		log := &logtest.Buffer{}
		address, _, stop := startedWith(t, configs.Spawn{Name: "x", User: me(), Argv: []string{program}, TimeLimit: time.Minute, ProcessLimit: 1}, msglog.New(slog.NewTextHandler(log, nil)))
		if got, _ := ask(t, address, ""); got != "" {
			t.Errorf("%s: the peer hears %q", program, got)
		}
		stop()
		if text := log.String(); !strings.Contains(text, "exit 75") || !strings.Contains(text, want) {
			t.Errorf("%s: %s", program, text)
		}
	}
}

// TestAStopEndsCommands: those that do not end by themselves in the time of the drain are killed.
func TestAStopEndsCommands(t *testing.T) {
	t.Parallel()
	address, _, stop := started(t, configs.Spawn{Name: "x", User: me(), Argv: []string{"/bin/sh", "-c", `echo began; sleep 600`}, TimeLimit: time.Hour, ProcessLimit: 1, DrainTimeout: 10 * time.Millisecond})
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := make([]byte, 6)
	if _, err := io.ReadFull(c, began); err != nil {
		t.Fatal(err)
	}
	stop()
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
}

// TestWhoMayNotRunACommand: root is refused, and who is no user, when the server starts.
func TestWhoMayNotRunACommand(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{"root": "rights of root", "no-such-user-here": "there is no user", "": "there is no user"} {
		_, err := New(Options{Params: configs.Spawn{User: user, Argv: []string{"/bin/true"}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", user, err)
		}
	}
}
