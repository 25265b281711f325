package run

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/run/initial"

	"github.com/prometheus/client_golang/prometheus"
)

// TestAlertsMatchLabels: two metrics have different labels, and without "on" no
// pair of them is ever found: the rule never fires. configs/samples/alerts_test.yml
// shows with promtool that they do.
func TestAlertsMatchLabels(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join("..", "..", "configs", "samples", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	metric, pair := regexp.MustCompile(`toastmaster_[a-z_]+`), regexp.MustCompile(` (and|unless) `)
	for line := range strings.Lines(string(rules)) {
		expr, ok := strings.CutPrefix(strings.TrimSpace(line), "expr: ")
		names := metric.FindAllString(expr, -1)
		slices.Sort(names)
		if ok && pair.MatchString(expr) && len(slices.Compact(names)) > 1 && !strings.Contains(expr, " on (") {
			t.Errorf("%s", expr)
		}
	}
}

// TestAlertsNameWhatIsMeasured: a rule over a metric that does not exist never
// fires, and nobody would know.
func TestAlertsNameWhatIsMeasured(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join("..", "..", "configs", "samples", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := initial.Make(t.Context(), initial.Options{Dir: t.TempDir(), PortBase: 2000, Hostname: "mx.test", Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	i, err := openInstance(t.Context(), Options{Config: c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}()
	described := make(chan *prometheus.Desc)
	go func() {
		defer close(described)
		i.metrics.Describe(described)
	}()
	measured := map[string]bool{}
	name := regexp.MustCompile(`fqName: "([a-z_]+)"`)
	for d := range described {
		measured[name.FindStringSubmatch(d.String())[1]] = true
	}
	names := regexp.MustCompile(`toastmaster_[a-z_]+`).FindAllString(string(rules), -1)
	if len(names) < 5 {
		t.Fatalf("only %d metrics named", len(names))
	}
	for _, n := range names {
		if !measured[n] {
			t.Errorf("%s is named in alerts.yml and not measured", n)
		}
	}
}
