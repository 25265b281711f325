package run

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// fencedCollector has a fence around a collector of ours: a registry collects in
// goroutines of its own, and a panic in one of these would end the process. With it,
// the page of metrics fails, as with any other error of a collector.
type fencedCollector struct {
	prometheus.Collector
	log *msglog.Log
}

// Collect implements prometheus.Collector.
func (c fencedCollector) Collect(out chan<- prometheus.Metric) {
	err := service.Fenced(c.log, func() error {
		c.Collector.Collect(out)
		return nil
	}, "service", "admin", "step", "metrics")
	if err != nil {
		err = errors.New("internal error, see the log")
		out <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
	}
}

// register adds a collector to the metrics of the instance, in its fence.
func (i *Instance) register(c prometheus.Collector) error {
	return i.metrics.Register(fencedCollector{c, i.log})
}
