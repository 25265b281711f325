package metrics

import "github.com/prometheus/client_golang/prometheus"

// Pickup are the metrics of what takes the mail of this host from its folder.
func Pickup(s interface {
	Waiting() int
	Expired() int64
}) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "toastmaster_pickup_waiting_messages", Help: "Messages of programs of this host that the queue could not take, and that are tried again.",
		}, func() float64 { return float64(s.Waiting()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "toastmaster_pickup_expired_messages_total", Help: "Messages of programs of this host that were set aside because the queue could not take them within qmgr.queue_lifetime.",
		}, func() float64 { return float64(s.Expired()) }),
	}
}
