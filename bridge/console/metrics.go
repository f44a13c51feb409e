package console

import (
	"strconv"
	"time"

	"einvoice-bridge/bridge"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics counts what the Service reports. Label values are closed sets or come from the configuration: callers,
// upstreams, outcome classes, HTTP status classes.
type Metrics struct {
	registry *prometheus.Registry
	load     func() bridge.Load
	recent   recents

	calls        *prometheus.CounterVec
	seconds      *prometheus.HistogramVec
	attempts     *prometheus.CounterVec
	wire         *prometheus.HistogramVec
	alarms       *prometheus.CounterVec
	unclassified *prometheus.CounterVec
	estimated    *prometheus.CounterVec
	refused      *prometheus.CounterVec

	reloads                *prometheus.CounterVec
	reloadGood, reloadTime prometheus.Gauge
}

// buckets reach from a replay (1 ms) to the longest wait that a caller is kept for (50 s).
var buckets = []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 30, 50}

// NewMetrics returns metrics in a registry of their own, with the Go runtime's beside them. load is asked at each
// scrape.
func NewMetrics(load func() bridge.Load) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(), load: load,
		calls: counter("einvoice_calls_total", "Answered calls by what the caller was told and where the answer came from.",
			"caller", "upstream", "class", "how"),
		seconds: histogram("einvoice_call_seconds", "Time of a call by phase: total, journal, wire, queue.", "upstream", "phase"),
		attempts: counter("einvoice_attempts_total", "Cancels and lookups by their own outcome; sent is false for a cancel that never left.",
			"upstream", "attempt", "class", "http", "sent"),
		wire:         histogram("einvoice_attempt_seconds", "Time of one send or lookup at the authority.", "upstream", "attempt"),
		alarms:       counter("einvoice_alarms_total", "What an operator must look at.", "kind", "upstream"),
		unclassified: counter("einvoice_unclassified_codes_total", "Answers with a code that the upstream's table does not list.", "upstream"),
		estimated:    counter("einvoice_estimated_dates_total", "Cancel dates that no authority gave.", "upstream"),
	}
	m.reloads = counter("einvoice_config_reloads_total", "Reloads of the configuration: ok, or failed and nothing changed.", "result")
	m.reloadGood = prometheus.NewGauge(prometheus.GaugeOpts{Name: "einvoice_config_last_reload_successful",
		Help: "1 when the configuration was taken up the last time that was tried, at start or by a reload."})
	m.reloadTime = prometheus.NewGauge(prometheus.GaugeOpts{Name: "einvoice_config_last_reload_success_timestamp_seconds",
		Help: "When the configuration was taken up."})
	m.reloads.WithLabelValues("ok")
	m.reloads.WithLabelValues("failed")
	m.reloadGood.Set(1)
	m.reloadTime.SetToCurrentTime()
	m.refused = counter("einvoice_refused_total", "Requests that never became a cancellation, by what was wrong.", "why")
	m.registry.MustRegister(m.reloads, m.reloadGood, m.reloadTime, m.refused, m.calls, m.seconds, m.attempts, m.wire, m.alarms, m.unclassified, m.estimated,
		gauge("einvoice_in_flight", "Documents in flight.", func() float64 { return float64(load().InFlight) }),
		gauge("einvoice_waiting", "Of these, documents that wait their turn at an authority.", func() float64 { return float64(load().Waiting) }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	return m
}

// Expect shows counters at zero before there is anything to count: to Prometheus one that appears with a 1 has not
// increased, and the first alarm of its kind would be nobody's alert. refusals are what Refused may be given.
func (m *Metrics) Expect(upstreams, refusals []string) {
	for _, kind := range bridge.AlarmKinds {
		for _, u := range append([]string{""}, upstreams...) { // some are about no upstream
			m.alarms.WithLabelValues(string(kind), u)
		}
	}
	for _, u := range upstreams {
		m.unclassified.WithLabelValues(u)
		m.estimated.WithLabelValues(u)
	}
	for _, why := range refusals {
		m.refused.WithLabelValues(why)
	}
}

// Register adds another package's collectors to the scrape.
func (m *Metrics) Register(cs ...prometheus.Collector) { m.registry.MustRegister(cs...) }

// Answered counts one answered call.
func (m *Metrics) Answered(r *bridge.CallReport) {
	m.calls.WithLabelValues(r.Caller, r.Upstream, r.Answer.Class.String(), string(r.How)).Inc()
	m.seconds.WithLabelValues(r.Upstream, "total").Observe(r.Took.Seconds())
	m.seconds.WithLabelValues(r.Upstream, "journal").Observe(r.Journal.Seconds())
	if r.Sends+r.Lookups > 0 {
		m.seconds.WithLabelValues(r.Upstream, "wire").Observe(r.Wire.Seconds())
	}
	if r.Queue > 0 {
		m.seconds.WithLabelValues(r.Upstream, "queue").Observe(r.Queue.Seconds())
	}
	if r.Unclassified {
		m.unclassified.WithLabelValues(r.Upstream).Inc()
	}
	if r.DateSource == bridge.DateEstimated {
		m.estimated.WithLabelValues(r.Upstream).Inc()
	}
}

// Attempted counts one send or lookup. One that never left took no time at the authority.
func (m *Metrics) Attempted(r bridge.AttemptReport) {
	m.attempts.WithLabelValues(r.Upstream, string(r.Attempt), r.Class.String(), statusClass(r.HTTPStatus), strconv.FormatBool(r.Sent)).Inc()
	if r.Sent {
		m.wire.WithLabelValues(r.Upstream, string(r.Attempt)).Observe(r.Took.Seconds())
	}
	m.recent.add(r)
}

// Alarm counts one alarm.
func (m *Metrics) Alarm(a bridge.Alarm) { m.alarms.WithLabelValues(string(a.Kind), a.Upstream).Inc() }

// Reloaded counts one reload of the configuration.
func (m *Metrics) Reloaded(ok bool, at time.Time) {
	if !ok {
		m.reloads.WithLabelValues("failed").Inc()
		m.reloadGood.Set(0)
		return
	}
	m.reloads.WithLabelValues("ok").Inc()
	m.reloadGood.Set(1)
	m.reloadTime.Set(float64(at.UnixMilli()) / 1000)
}

// Refused counts one request that never became a cancellation. why is one of a closed set.
func (m *Metrics) Refused(why string) { m.refused.WithLabelValues(why).Inc() }

// statusClass keeps the label's values few: "2xx", or "none" when no reply came.
func statusClass(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return strconv.Itoa(status/100) + "xx"
}
