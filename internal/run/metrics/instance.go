package metrics

import (
	"crypto/x509"

	"toastmaster/admin/model"
	"toastmaster/internal/service"
	"toastmaster/internal/vfs"

	"github.com/prometheus/client_golang/prometheus"
)

// instanceMetrics tells what an operator is woken for, when somebody asks: is
// every service running, is there room, when does a certificate end.
type instanceMetrics struct {
	Instance
	running     *prometheus.Desc
	free        *prometheus.Desc
	certificate *prometheus.Desc
}

var _ prometheus.Collector = instanceMetrics{}

// Instance is what is measured of one.
type Instance struct {
	// Services is the state of the services; it is asked while they run.
	Services func() []model.Service
	FS       vfs.FS
	// Folders are those whose disk is looked at, by the name of the metric's label.
	Folders      map[string]string
	Certificates func() []*x509.Certificate
}

// Of are the metrics of an instance.
func Of(i Instance) prometheus.Collector {
	return instanceMetrics{
		Instance:    i,
		running:     prometheus.NewDesc("toastmaster_service_running", "1 while the service runs and its files are in their place, else 0.", []string{"service"}, nil),
		free:        prometheus.NewDesc("toastmaster_disk_free_bytes", "Octets free on the disk of a folder, for the service's user.", []string{"folder"}, nil),
		certificate: prometheus.NewDesc("toastmaster_certificate_end_seconds", "When a certificate in use ends, in Unix seconds.", []string{"name"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m instanceMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.running
	out <- m.free
	out <- m.certificate
	out <- describeRoles()
}

// Collect implements prometheus.Collector.
func (m instanceMetrics) Collect(out chan<- prometheus.Metric) {
	m.collectServices(out)
	for folder, path := range m.Folders {
		free, err := m.FS.Free(path)
		if err != nil {
			continue // a folder that is gone: toastmaster_service_running says so, and an error here would take all metrics away
		}
		out <- prometheus.MustNewConstMetric(m.free, prometheus.GaugeValue, float64(free), folder)
	}
	m.collectCertificates(out)
}

func (m instanceMetrics) collectServices(out chan<- prometheus.Metric) {
	for _, s := range m.Services() {
		if s.Name == "log" {
			continue // it has its own metric
		}
		running := 0.0
		// One that is degraded for want of room runs: toastmaster_disk_free_bytes says it.
		if s.State == string(service.Running) || s.State == model.Degraded {
			running = 1
		}
		out <- prometheus.MustNewConstMetric(m.running, prometheus.GaugeValue, running, s.Name)
	}
}

// collectCertificates names a certificate by its first name. Of several with
// that name the one that ends first counts.
func (m instanceMetrics) collectCertificates(out chan<- prometheus.Metric) {
	ends := map[string]float64{}
	for _, leaf := range m.Certificates() {
		name := leaf.Subject.CommonName
		if len(leaf.DNSNames) > 0 {
			name = leaf.DNSNames[0]
		}
		end := float64(leaf.NotAfter.Unix())
		if known, ok := ends[name]; !ok || end < known {
			ends[name] = end
		}
	}
	for name, end := range ends {
		out <- prometheus.MustNewConstMetric(m.certificate, prometheus.GaugeValue, end, name)
	}
}
