package msglog

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// value is the sum of a metric over its labels.
func value(t *testing.T, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func TestEventsAreCounted(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	l, _ := open(t, Options{Registry: registry, Level: slog.LevelError})
	for _, e := range examples() {
		l.Event(e.event)
	}
	for name, want := range map[string]float64{
		"connections_total": 1, "session_seconds": 1, "logins_total": 2, "rejects_total": 3, "queued_total": 1,
		"queued_bytes_total": 4096, "queued_recipients_total": 2, "attempts_total": 2, "delivery_delay_seconds": 2,
		"delivery_phase_seconds": 8, "removed_total": 1, "notifications_total": 1, "stored_total": 1, "stored_bytes_total": 99,
	} {
		if got := value(t, registry, "toastmaster_"+name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	w := httptest.NewRecorder()
	Metrics(registry).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`toastmaster_attempts_total{class="2",status="sent"} 1`,
		`toastmaster_logins_total{mechanism="other",result="mismatch",service="imapd"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("no line %s", line)
		}
	}
}

func TestClientsMakeNoLabels(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	l, _ := open(t, Options{Registry: registry, Level: slog.LevelError})
	for _, m := range []string{"A", "B", "C"} {
		l.Event(Login{Service: "s", Mechanism: m, Reason: "mismatch"})
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "toastmaster_logins_total" && len(f.GetMetric()) != 1 {
			t.Errorf("%d series", len(f.GetMetric()))
		}
	}
}

func TestTwoLogsInOneRegistry(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	open(t, Options{Registry: registry})
	if _, err := Open(Options{Registry: registry}); err == nil {
		t.Error("the second has counted into nothing")
	}
}
