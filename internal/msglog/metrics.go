package msglog

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"toastmaster/internal/dsn"
)

// metrics counts events. Labels are words of this program; what a peer can
// choose (a mechanism) is mapped to a list.
type metrics struct {
	connections   *prometheus.CounterVec
	sessionTime   *prometheus.HistogramVec
	logins        *prometheus.CounterVec
	rejects       *prometheus.CounterVec
	screened      *prometheus.CounterVec
	lookups       *prometheus.CounterVec
	queued        *prometheus.CounterVec
	queuedBytes   prometheus.Counter
	queuedRcpts   prometheus.Counter
	attempts      *prometheus.CounterVec
	delay         *prometheus.HistogramVec
	phases        *prometheus.HistogramVec
	removed       *prometheus.CounterVec
	notifications *prometheus.CounterVec
	stored        *prometheus.CounterVec
	storedBytes   *prometheus.CounterVec
	peaks         *prometheus.GaugeVec
	encrypted     *prometheus.CounterVec
	lost          prometheus.Counter
}

// Metrics serves what g has gathered at /metrics.
func Metrics(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{})
}

// delayBuckets are in seconds: from a local delivery to the lifetime of a
// message in the queue.
func delayBuckets() []float64 {
	return []float64{0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60, 300, 1800, 10800, 86400, 432000}
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	var all []prometheus.Collector
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "toastmaster_" + name, Help: help}, labels)
		all = append(all, v)
		return v
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "toastmaster_" + name, Help: help})
		all = append(all, c)
		return c
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "toastmaster_" + name, Help: help, Buckets: delayBuckets()}, labels)
		all = append(all, v)
		return v
	}
	m := &metrics{
		connections:   counters("connections_total", "Connections accepted.", "service", "tls"),
		sessionTime:   histogram("session_seconds", "Length of sessions.", "service"),
		logins:        counters("logins_total", "Attempts to log in; result is ok or the reason.", "service", "mechanism", "result"),
		rejects:       counters("rejects_total", "Commands and messages refused, by the class of their status.", "service", "stage", "class"),
		screened:      counters("postscreen_total", "What postscreen found about clients.", "result", "action"),
		lookups:       counters("lookups_total", "Requests of clients for what stands in lookup tables.", "service", "table", "result"),
		queued:        counters("queued_total", "Messages accepted into the queue.", "proto"),
		queuedBytes:   counter("queued_bytes_total", "Octets of messages accepted into the queue."),
		queuedRcpts:   counter("queued_recipients_total", "Recipients of messages accepted into the queue."),
		attempts:      counters("attempts_total", "Delivery attempts, one for each recipient.", "status", "class"),
		delay:         histogram("delivery_delay_seconds", "Time from arrival to the end of an attempt.", "status"),
		phases:        histogram("delivery_phase_seconds", "The four parts of delays=.", "phase"),
		removed:       counters("removed_total", "Messages that left the queue.", "reason"),
		notifications: counters("notifications_total", "Delivery reports put into the queue.", "kind"),
		stored:        counters("stored_total", "Messages stored in mailboxes.", "service"),
		storedBytes:   counters("stored_bytes_total", "Octets of messages stored in mailboxes.", "service"),
		encrypted:     counters("tls_sessions_total", "TLS sessions of clients of smtpd; trust is what their certificate is worth.", "service", "trust", "resumed"),
		peaks:         prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "toastmaster_client_peak", Help: "The most that one client did to one service in anvil.status_update_time: a rate in anvil.rate_time_unit, or how many at once."}, []string{"what"}),
		lost:          counter("log_lines_lost_total", "Log lines that could not be written."),
	}
	for _, c := range append(all, m.peaks) {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// class is the label for a status.
func class(s dsn.Status) string {
	switch s.Class() {
	case 2:
		return "2"
	case 4:
		return "4"
	case 5:
		return "5"
	}
	return "none"
}

// mechanism keeps clients from making labels.
func mechanism(name string) string {
	known := [...]string{
		"PLAIN", "LOGIN", "USER", "SCRAM-SHA-1", "SCRAM-SHA-256", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER", "EXTERNAL", "ANONYMOUS", "password", "Bearer",
	}
	if slices.Contains(known[:], name) {
		return name
	}
	return "other"
}

func (e Connect) count(m *metrics) {
	m.connections.WithLabelValues(e.Service, strconv.FormatBool(e.TLS)).Inc()
}

func (e Disconnect) count(m *metrics) {
	m.sessionTime.WithLabelValues(e.Service).Observe(e.Duration.Seconds())
}

func (e Login) count(m *metrics) {
	result := e.Reason
	if result == "" {
		result = "ok"
	}
	m.logins.WithLabelValues(e.Service, mechanism(e.Mechanism), result).Inc()
}

func (e Reject) count(m *metrics) {
	m.rejects.WithLabelValues(e.Service, e.Stage, class(e.Err.Status)).Inc()
}

func (Rejects) count(*metrics) {}

func (e Statistic) count(m *metrics) { m.peaks.WithLabelValues(e.what()).Set(float64(e.Value)) }

func (e Encrypted) count(m *metrics) {
	m.encrypted.WithLabelValues(e.Service, e.Trust, strconv.FormatBool(e.Resumed)).Inc()
}

func (e Screened) count(m *metrics) { m.screened.WithLabelValues(e.Result, e.Action).Inc() }

func (e Lookup) count(m *metrics) {
	table := e.Table
	if e.Result == LookupUnknown {
		table = "" // the client made it up
	}
	m.lookups.WithLabelValues(e.Service, table, string(e.Result)).Inc()
}

func (e Queued) count(m *metrics) {
	m.queued.WithLabelValues(e.Proto).Inc()
	m.queuedBytes.Add(float64(e.Size))
	m.queuedRcpts.Add(float64(e.Recipients))
}

func (e Attempt) count(m *metrics) {
	m.attempts.WithLabelValues(e.Status, class(e.DSN)).Inc()
	m.delay.WithLabelValues(e.Status).Observe(e.Delay.Seconds())
	for i, phase := range [...]string{"before", "queue", "connect", "transmit"} {
		m.phases.WithLabelValues(phase).Observe(e.Delays[i].Seconds())
	}
}

func (e Removed) count(m *metrics)      { m.removed.WithLabelValues(e.Reason).Inc() }
func (e Notification) count(m *metrics) { m.notifications.WithLabelValues(e.Kind).Inc() }

func (e Stored) count(m *metrics) {
	m.stored.WithLabelValues(e.Service).Inc()
	m.storedBytes.WithLabelValues(e.Service).Add(float64(e.Size))
}
