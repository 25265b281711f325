package imapd

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
	h := newHost(t, func(h *host) {
		h.config.IMAPD.LoginTimeout, h.config.IMAPD.StressTimeout = time.Hour, 200*time.Millisecond
	})
	server := storetest.Start(t, &service.Server{
		ServiceName: "imapd", Handler: h.handler, Log: msglog.Discard(), Clock: clock.System{}, Limits: service.Limits{Stress: 3, DrainTimeout: time.Minute},
	}, h.tls)
	storetest.UnderStress(t, server, storetest.Dialogue{
		Before: "a NOOP\r\n", LogIn: "a LOGIN alice@example.test \"secret word\"\r\n", LoggedIn: "a OK",
		Noop: "b NOOP\r\n", Done: "b OK", Bye: "* BYE ",
	})
}
