package pop3d

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/mailstore/storetest"
)

// TestStress: with hardly any place left, who has not logged in leaves soon, also
// if it waits already; who has stays.
func TestStress(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.gate.Timeout, h.gate.StressTimeout = time.Hour, 200*time.Millisecond })
	handler, err := New(Options{Config: h.config.POP3D, Hostname: "pop.test", Gate: h.gate, Log: msglog.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	server := storetest.Start(t, &service.Server{
		ServiceName: "pop3d", Handler: handler, Log: msglog.Discard(), Clock: clock.System{}, Limits: service.Limits{Stress: 3, DrainTimeout: time.Minute},
	}, h.gate.TLS)
	user, idle := server.Dial(0), server.Dial(0)
	in := bufio.NewReader(user)
	said := func(lines string) {
		t.Helper()
		if _, err := io.WriteString(user, lines); err != nil {
			t.Fatal(err)
		}
		for range strings.Count(lines, "\n") {
			if got, err := in.ReadString('\n'); !strings.HasPrefix(got, "+OK") || err != nil {
				t.Fatalf("%q %v", got, err)
			}
		}
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	said("USER alice@example.test\r\nPASS secret word\r\n")
	waiting := bufio.NewReader(idle)
	if _, err := waiting.ReadString('\n'); err != nil { // it waits for an hour now
		t.Fatal(err)
	}
	late := server.Dial(0)
	for name, r := range map[string]io.Reader{"the idle client": waiting, "the new client": late} {
		if got, err := io.ReadAll(r); !strings.Contains(string(got), "-ERR Disconnected for inactivity") || err != nil {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	said("NOOP\r\n")
}
