package pop3d

import (
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
	storetest.UnderStress(t, server, storetest.Dialogue{
		LogIn: "USER alice@example.test\r\nPASS secret word\r\n", LoggedIn: "+OK Logged in",
		Noop: "NOOP\r\n", Done: "+OK", Bye: "-ERR Disconnected for inactivity",
	})
}
