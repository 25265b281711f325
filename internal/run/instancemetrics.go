package run

import (
	"github.com/prometheus/client_golang/prometheus"

	"toastmaster/internal/service"
)

// instanceMetrics tells what an operator is woken for, when somebody asks: is
// every service running, is there room, when does a certificate end.
type instanceMetrics struct {
	instance    *Instance
	running     *prometheus.Desc
	free        *prometheus.Desc
	certificate *prometheus.Desc
}

var _ prometheus.Collector = instanceMetrics{}

func newInstanceMetrics(i *Instance) instanceMetrics {
	return instanceMetrics{
		instance:    i,
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
}

// Collect implements prometheus.Collector.
func (m instanceMetrics) Collect(out chan<- prometheus.Metric) {
	m.collectServices(out)
	i := m.instance
	for folder, path := range map[string]string{"queue": i.config.Path(QueueDir), "mail": i.config.Path(i.config.Store.Path)} {
		free, err := i.fs.Free(path)
		if err != nil {
			continue // a folder that is gone: toastmaster_service_running says so, and an error here would take all metrics away
		}
		out <- prometheus.MustNewConstMetric(m.free, prometheus.GaugeValue, float64(free), folder)
	}
	m.collectCertificates(out)
}

func (m instanceMetrics) collectServices(out chan<- prometheus.Metric) {
	if m.instance.group == nil {
		return
	}
	for _, s := range m.instance.status() {
		if s.Name == "log" {
			continue // it has its own metric
		}
		running := 0.0
		if s.State == string(service.Running) {
			running = 1
		}
		out <- prometheus.MustNewConstMetric(m.running, prometheus.GaugeValue, running, s.Name)
	}
}

// collectCertificates names a certificate by its first name. Of several with
// that name the one that ends first counts.
func (m instanceMetrics) collectCertificates(out chan<- prometheus.Metric) {
	ends := map[string]float64{}
	for _, leaf := range m.instance.certificates.Leaves() {
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
