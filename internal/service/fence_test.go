package service

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/lockorder"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/logtest"
)

func TestAPanicIsAnErrorAndOneLine(t *testing.T) {
	t.Parallel()
	log := &logtest.Buffer{}
	fenced := func(f func() error) error {
		return Fenced(msglog.New(slog.NewTextHandler(log, nil)), f, "service", "x", "id", "Q1")
	}
	var none map[string]int
	count := func(m map[string]int) error { m["a"]++; return nil }
	err := fenced(func() error { return count(none) })
	if e := dsn.From(err); e == nil || !e.Temporary() || !strings.Contains(err.Error(), "nil map") {
		t.Errorf("%v", err)
	}
	line := log.String()
	for _, want := range []string{"msg=panic service=x id=Q1 cause=", "nil map", "stack=", "TestAPanicIsAnErrorAndOneLine"} {
		if !strings.Contains(line, want) {
			t.Errorf("no %q in %s", want, line)
		}
	}
	if strings.Count(line, "\n") != 1 {
		t.Errorf("more than a line: %s", line)
	}
	own := errors.New("own")
	if err := fenced(func() error { return own }); err != own {
		t.Errorf("%v", err)
	}
	if fenced(func() error { return nil }) != nil || log.String() != line {
		t.Error("without a panic it says something")
	}
}

// TestAPanicAtTheDoor, where a client is let in or not, is that client's trouble.
func TestAPanicAtTheDoor(t *testing.T) {
	t.Parallel()
	var clients atomic.Int32
	r := run(t, &Server{Handler: handlerFunc(echo), Limits: Limits{DrainTimeout: time.Minute}, Admit: func(netip.Addr) *dsn.Error {
		if clients.Add(1) == 1 {
			panic("no door")
		}
		return nil
	}})
	if got := read(t, r.dial()); got != "" {
		t.Errorf("%q", got)
	}
	if got := ask(t, r.dial(), "x\r\n"); got != "x\r\n" {
		t.Errorf("the next client: %q", got)
	}
	r.finish()
	if log := r.log.String(); strings.Count(log, "msg=panic ") != 1 {
		t.Error(log)
	}
}

// TestAFenceHidesNoLockOutOfOrder: that is a mistake of the program, and no trouble of one
// message. It ends the process of the test, also under net/http, which recovers whatever a
// handler panics with.
func TestAFenceHidesNoLockOutOfOrder(t *testing.T) {
	const child = "TOASTMASTER_TEST_VIOLATION"
	if os.Getenv(child) != "" {
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			_ = Fenced(msglog.Discard(), func() error { panic(lockorder.Violation("the wrong way")) })
		}))
		if answer, err := http.Get(s.URL); err == nil {
			answer.Body.Close()
		}
		os.Exit(0) // hidden
	}
	t.Parallel()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), child+"=1")
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the wrong way") {
		t.Errorf("hidden: %v\n%s", err, out)
	}
}
