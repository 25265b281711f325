package run

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"toastmaster/configs"
	"toastmaster/internal/msglog"
	"toastmaster/internal/run/initial"
	"toastmaster/internal/run/metrics"
	"toastmaster/internal/service"
)

// explosive is a log whose first line about a reload panics, in the middle of it.
type explosive struct {
	slog.Handler
	spent bool
}

func (e *explosive) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "reload" && !e.spent {
		e.spent = true
		panic("secret state")
	}
	return e.Handler.Handle(ctx, r)
}

// TestAPanicOfAReload is a reload that failed: whoever asked hears so, mail goes on,
// and the next reload is served.
func TestAPanicOfAReload(t *testing.T) {
	t.Parallel()
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
	var log bytes.Buffer // what writes to it, the watch, has ended when it is read
	bomb := &explosive{Handler: slog.NewTextHandler(&log, nil)}
	i.log = msglog.New(bomb)
	i.group = &service.Group{GroupName: "test", Log: msglog.Discard(), Clock: i.clock}
	for _, byAPI := range []bool{true, false} {
		bomb.spent = false
		log.Reset()
		ctx, cancel := context.WithCancelCause(t.Context())
		hangup, done := make(chan os.Signal), make(chan struct{})
		go func() {
			defer close(done)
			i.watch(ctx, Options{Stderr: io.Discard}, nil, hangup, cancel)
		}()
		if byAPI {
			if changed, err := i.askReload(ctx); err == nil || err.Error() != "internal error, see the log" {
				t.Errorf("%v %v", changed, err)
			}
		} else {
			hangup <- syscall.SIGHUP
		}
		if _, err := i.askReload(ctx); err != nil || ctx.Err() != nil {
			t.Errorf("the next reload: %v %v", err, ctx.Err())
		}
		cancel(nil)
		<-done
		if text := log.String(); strings.Count(text, "msg=panic service=toastmaster step=reload cause=\"secret state\"") != 1 || !strings.Contains(text, "msg=reload status=ok") {
			t.Errorf("by API %v: %s", byAPI, text)
		}
	}
}

// TestAPanicWhenReady ends the instance in order, as an error does.
func TestAPanicWhenReady(t *testing.T) {
	t.Parallel()
	i := bareInstance(configs.Default())
	i.log = msglog.Discard()
	i.group = &service.Group{GroupName: "test", Log: i.log, Clock: i.clock}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	go func() { _ = i.group.Run(ctx) }()
	i.watch(ctx, Options{Stderr: io.Discard, OnReady: func(context.Context) error { panic("no demo") }}, nil, nil, cancel)
	if cause := context.Cause(ctx); cause == nil || !strings.Contains(cause.Error(), "no demo") {
		t.Errorf("%v", cause)
	}
}

// bombCollector panics when somebody asks.
type bombCollector struct{ prometheus.Collector }

func (bombCollector) Collect(chan<- prometheus.Metric) { panic("secret state") }

// TestAPanicOfACollector: a registry collects in goroutines of its own.
func TestAPanicOfACollector(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	i := bareInstance(configs.Default())
	i.metrics, i.log = prometheus.NewRegistry(), msglog.New(slog.NewTextHandler(&log, nil))
	fine := prometheus.NewGauge(prometheus.GaugeOpts{Name: "fine", Help: "x"})
	bomb := bombCollector{prometheus.NewGauge(prometheus.GaugeOpts{Name: "bomb", Help: "x"})}
	if err := metrics.Register(i.metrics, i.log, fine, bomb); err != nil {
		t.Fatal(err)
	}
	found, err := i.metrics.Gather()
	if err == nil || strings.Contains(err.Error(), "secret") || len(found) != 1 || found[0].GetName() != "fine" {
		t.Errorf("%v %v", found, err)
	}
	if !strings.Contains(log.String(), "msg=panic service=admin step=metrics cause=\"secret state\"") {
		t.Error(log.String())
	}
}

// TestGoroutinesHaveFences: a panic in one without ends the mail service. Each of the
// process's own, and of the administration, is in this list with what keeps that
// from happening; a new one is to be thought about.
func TestGoroutinesHaveFences(t *testing.T) {
	t.Parallel()
	known := map[string]int{
		"../../cmd/toastmaster/sendmail/session.go": 3, // the process of a command
		"../../cmd/toastmaster/cli/master.go":       1, // reads and waits
		"master.go":                                 2, // net/http; a SIGHUP of master's, whose work is the roles'
		"renew.go":                                  1, // fenced
		"role.go":                                   2, // reads lines; says that it lives
		"control/server.go":                         1, // net/http
		"control/client.go":                         1, // asks
		"rolemetrics.go":                            1, // asks; a panic of a reader would be the library's
		"roles.go":                                  1, // asks the own watch, which has a fence
		"control/submit.go":                         1, // copies
		"serve.go":                                  2, // watch, each step fenced; say, a write to a file
		"../../admin/api/jobs.go":                   1, // Task.Fence
		"../../admin/api/server.go":                 3, // Fenced twice; the Runner
		"../../admin/jobs/jobs.go":                  2, // do and note, fenced
		"../../admin/store/bulkmailboxes.go":        1, // Fenced
	}
	for _, folder := range []string{".", "adapter", "backup", "check", "control", "fence", "initial", "listeners", "metrics", "parts", "rights", "usage", "../../cmd/toastmaster", "../../cmd/toastmaster/cli", "../../cmd/toastmaster/sendmail", "../../admin/api", "../../admin/authz", "../../admin/client", "../../admin/jobs", "../../admin/model", "../../admin/store"} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := strings.TrimPrefix(folder+"/"+e.Name(), "./")
			if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			n := strings.Count(string(text), "\tgo ") + strings.Count(string(text), ".Go(func")
			if n != known[name] {
				t.Errorf("%s starts %d goroutines, %d are known", name, n, known[name])
			}
		}
	}
}
