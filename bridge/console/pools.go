package console

import (
	"github.com/prometheus/client_golang/prometheus"

	"einvoice-bridge/bridge"
)

// Pools shows who holds the places of the SOAP side. all is asked at each scrape; it names every pool from the start.
func Pools(all func() []bridge.Pool) prometheus.Collector { return pools(all) }

type pools func() []bridge.Pool

var (
	poolHeld = prometheus.NewDesc("einvoice_pool_held", "Places that a pool holds: calls that are being answered, and work that goes on after its caller was answered.", []string{"pool", "name"}, nil)
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

// Crowd shows who is connected to the SOAP side. now is asked at each scrape.
func Crowd(now func() bridge.Crowd) prometheus.Collector { return crowd(now) }

type crowd func() bridge.Crowd

var (
	connections = prometheus.NewDesc("einvoice_connections", "Open connections of the SOAP side: on which a caller was let in, and all others.", []string{"of"}, nil)
	unfinished  = prometheus.NewDesc("einvoice_unfinished_bytes", "What requests hold that have begun and are not complete.", nil, nil)
	putOut      = prometheus.NewDesc("einvoice_connections_put_out_total", "Connections that were ended to make room for others.", []string{"why"}, nil)
)

// Describe implements prometheus.Collector.
func (c crowd) Describe(ch chan<- *prometheus.Desc) {
	ch <- connections
	ch <- unfinished
	ch <- putOut
}

// Collect implements prometheus.Collector.
func (c crowd) Collect(ch chan<- prometheus.Metric) {
	now := c()
	ch <- prometheus.MustNewConstMetric(connections, prometheus.GaugeValue, float64(now.Callers), "callers")
	ch <- prometheus.MustNewConstMetric(connections, prometheus.GaugeValue, float64(now.Strangers), "strangers")
	ch <- prometheus.MustNewConstMetric(unfinished, prometheus.GaugeValue, float64(now.Unfinished))
	for _, why := range bridge.PutOuts {
		ch <- prometheus.MustNewConstMetric(putOut, prometheus.CounterValue, float64(now.PutOut[why]), string(why))
	}
}
