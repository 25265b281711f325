package metrics

import (
	"errors"

	"toastmaster/internal/msglog"
	"toastmaster/internal/service"

	"github.com/prometheus/client_golang/prometheus"
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

// Register adds collectors to a registry, each in a fence.
func Register(r *prometheus.Registry, log *msglog.Log, all ...prometheus.Collector) error {
	var errs []error
	for _, c := range all {
		errs = append(errs, r.Register(fencedCollector{c, log}))
	}
	return errors.Join(errs...)
}
