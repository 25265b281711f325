package metrics

import (
	"toastmaster/mta/queue"

	"github.com/prometheus/client_golang/prometheus"
)

// queueMetrics tells how many messages are in each place of the queue when
// somebody asks.
type queueMetrics struct {
	queue    *queue.Queue
	messages *prometheus.Desc
}

var _ prometheus.Collector = queueMetrics{}

// Queue are the metrics of a queue.
func Queue(q *queue.Queue) prometheus.Collector {
	return queueMetrics{q, prometheus.NewDesc("toastmaster_queue_messages",
		"Messages in the queue by place: incoming, active, deferred, hold, corrupt.", []string{"place"}, nil)}
}

// Describe implements prometheus.Collector.
func (m queueMetrics) Describe(out chan<- *prometheus.Desc) { out <- m.messages }

// Collect implements prometheus.Collector.
func (m queueMetrics) Collect(out chan<- prometheus.Metric) {
	counts, err := m.queue.Counts()
	if err != nil {
		out <- prometheus.NewInvalidMetric(m.messages, err)
		return
	}
	for place, n := range counts {
		out <- prometheus.MustNewConstMetric(m.messages, prometheus.GaugeValue, float64(n), string(place))
	}
}
