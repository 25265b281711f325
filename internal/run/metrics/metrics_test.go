package metrics

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/model"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/vfs"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// page is what a registry says, one sample a line, without its comments.
func page(t *testing.T, r *prometheus.Registry) (out string, err error) {
	t.Helper()
	families, err := r.Gather()
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "#") {
			out += line
		}
	}
	return out, err
}

// room is a disk with so much room below each folder.
type room struct {
	vfs.OS
	free map[string]int64
}

func (r room) Free(path string) (int64, error) {
	if n, ok := r.free[path]; ok {
		return n, nil
	}
	return 0, errors.New("no such folder")
}

// TestInstance: a service that does not run, or whose files are not in their place, is 0; a folder
// that is gone takes nothing else with it; of certificates with one name the first to end counts.
func TestInstance(t *testing.T) {
	t.Parallel()
	leaf := func(end int64, common string, names ...string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: common}, DNSNames: names, NotAfter: time.Unix(end, 5e8)}
	}
	services := []model.Service{{Name: "smtpd", State: string(service.Running)}, {Name: "imapd", State: "failed"}, {Name: "store", State: model.PartUnavailable}, {Name: "log", State: model.Degraded}}
	i := Instance{
		Services: func() []model.Service { return services },
		FS:       room{free: map[string]int64{"/mail": 1 << 50, "/queue": 0}},
		Folders:  map[string]string{"store": "/mail", "queue": "/queue", "directory": "/gone"},
		Certificates: func() []*x509.Certificate {
			return []*x509.Certificate{leaf(200, "c", "a.test", "b.test"), leaf(100, "x", "a.test"), leaf(300, "", "a.test"), leaf(50, "old.test")}
		},
	}
	r := prometheus.NewPedanticRegistry()
	if err := Register(r, msglog.Discard(), Of(i)); err != nil {
		t.Fatal(err)
	}
	want := `toastmaster_certificate_end_seconds{name="a.test"} 100
toastmaster_certificate_end_seconds{name="old.test"} 50
toastmaster_disk_free_bytes{folder="queue"} 0
toastmaster_disk_free_bytes{folder="store"} 1.125899906842624e+15
toastmaster_service_running{service="imapd"} 0
toastmaster_service_running{service="smtpd"} 1
toastmaster_service_running{service="store"} 0
`
	for range 2 { // of what is now
		if got, err := page(t, r); err != nil || got != want {
			t.Errorf("%v\n%s", err, got)
		}
		services[1].State = string(service.Running)
		want = strings.Replace(want, `"imapd"} 0`, `"imapd"} 1`, 1)
	}
}

// bad is a collector that panics.
type bad struct{ *prometheus.Desc }

func (b bad) Describe(out chan<- *prometheus.Desc) { out <- b.Desc }

func (b bad) Collect(chan<- prometheus.Metric) { panic("with a secret") }

// TestAPanicEndsThePageAndNotTheServer: the log has it, and who asks learns no more than that
// there is something.
func TestAPanicEndsThePageAndNotTheServer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	log, err := msglog.Open(msglog.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	r := prometheus.NewRegistry()
	if err := Register(r, log, Of(Instance{Services: func() []model.Service { return nil }, Certificates: func() []*x509.Certificate { return nil }}), bad{prometheus.NewDesc("bad", "Bad.", nil, nil)}); err != nil {
		t.Fatal(err)
	}
	got, err := page(t, r)
	if err == nil || !strings.Contains(err.Error(), "internal error, see the log") || strings.Contains(err.Error()+got, "secret") {
		t.Errorf("%q, %v", got, err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if lines, err := os.ReadFile(file); err != nil || !bytes.Contains(lines, []byte("with a secret")) || !bytes.Contains(lines, []byte("metrics")) {
		t.Errorf("the log has %s, %v", lines, err)
	}
	if err := Register(r, log, bad{prometheus.NewDesc("bad", "Bad.", nil, nil)}); err == nil {
		t.Error("one name for two")
	}
}
