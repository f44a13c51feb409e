package console

import (
	"github.com/prometheus/client_golang/prometheus"

	"einvoice-bridge/bridge"
)

// Pools shows who holds the places of the SOAP side. all is asked at each scrape; it names every pool from the start.
func Pools(all func() []bridge.Pool) prometheus.Collector { return pools(all) }

type pools func() []bridge.Pool

var (
	poolHeld = prometheus.NewDesc("einvoice_pool_held", "Places that a pool holds: calls that are being answered.", []string{"pool", "name"}, nil)
	poolMost = prometheus.NewDesc("einvoice_pool_most", "Places that a pool may hold while nobody else comes or goes.", []string{"pool", "name"}, nil)
	poolFull = prometheus.NewDesc("einvoice_pool_full_total", "Calls that found no place left in a pool; they were told that the bridge is busy, or what is on record.", []string{"pool", "name"}, nil)
)

// Describe implements prometheus.Collector.
func (p pools) Describe(ch chan<- *prometheus.Desc) {
	ch <- poolHeld
	ch <- poolMost
	ch <- poolFull
}

// Collect implements prometheus.Collector.
func (p pools) Collect(ch chan<- prometheus.Metric) {
	for _, q := range p() {
		ch <- prometheus.MustNewConstMetric(poolHeld, prometheus.GaugeValue, float64(q.Held), string(q.Kind), q.Name)
		ch <- prometheus.MustNewConstMetric(poolMost, prometheus.GaugeValue, float64(q.Most), string(q.Kind), q.Name)
		ch <- prometheus.MustNewConstMetric(poolFull, prometheus.CounterValue, float64(q.Full), string(q.Kind), q.Name)
	}
}
