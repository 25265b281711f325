package imapd

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
	h := newHost(t, func(h *host) {
		h.config.IMAPD.LoginTimeout, h.config.IMAPD.StressTimeout = time.Hour, 200*time.Millisecond
	})
	server := storetest.Start(t, &service.Server{
		ServiceName: "imapd", Handler: h.handler, Log: msglog.Discard(), Clock: clock.System{}, Limits: service.Limits{Stress: 3, DrainTimeout: time.Minute},
	}, h.tls)
	user, idle := server.Dial(0), server.Dial(0)
	in := bufio.NewReader(user)
	said := func(line, want string) {
		t.Helper()
		if _, err := io.WriteString(user, line); err != nil {
			t.Fatal(err)
		}
		for {
			got, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(got, "* ") {
				if !strings.HasPrefix(got, want) {
					t.Fatalf("%q, want %q", got, want)
				}
				return
			}
		}
	}
	said("a LOGIN alice@example.test \"secret word\"\r\n", "a OK")
	if _, err := io.WriteString(idle, "a NOOP\r\n"); err != nil {
		t.Fatal(err)
	}
	waiting := bufio.NewReader(idle)
	for range 2 { // the greeting and the answer: it waits for an hour now
		if _, err := waiting.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	late := server.Dial(0)
	for name, r := range map[string]io.Reader{"the idle client": waiting, "the new client": late} {
		if got, err := io.ReadAll(r); !strings.Contains(string(got), "* BYE ") || err != nil {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	said("b NOOP\r\n", "b OK")
}
