package console

import (
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// Whose last answer is no answer is not called healthy, whatever went well before.
func TestHealthIsOfTheLast(t *testing.T) {
	metrics := NewMetrics(func() bridge.Load { return bridge.Load{} })
	sent := func(class bridge.Class) {
		metrics.Attempted(bridge.AttemptReport{Upstream: "nic", Attempt: bridge.SendCancel, Class: class, Sent: true})
	}
	health := func() string { return upstreamRow{Recent: metrics.Recent("nic")}.Health().Word }
	for _, step := range []struct {
		class bridge.Class
		want  string
	}{{bridge.Cancelled, "healthy"}, {bridge.Unknown, "last try failed"}, {bridge.Refused, "healthy"}} {
		if sent(step.class); health() != step.want {
			t.Errorf("after %v it is %s", step.class, health())
		}
		time.Sleep(time.Millisecond)
	}
}

// What never left says nothing of the authority's speed, but shows as trouble.
func TestUnsentIsTroubleWithoutLatency(t *testing.T) {
	metrics := NewMetrics(func() bridge.Load { return bridge.Load{} })
	metrics.Attempted(bridge.AttemptReport{Upstream: "nic", Attempt: bridge.SendCancel, Class: bridge.NotApplied, Took: time.Millisecond})
	if r := metrics.Recent("nic"); !r.Last.IsZero() || r.Median != 0 || r.Trouble != "not carried out, not sent" {
		t.Errorf("got %+v", r)
	}
	metrics.Attempted(bridge.AttemptReport{Upstream: "nic", Attempt: bridge.SendCancel, Class: bridge.Unclear, Sent: true, HTTPStatus: 200, Took: time.Second})
	if r := metrics.Recent("nic"); r.Last.IsZero() || r.Median != time.Second || r.Trouble != "unclear, HTTP 2xx" {
		t.Errorf("got %+v", r)
	}
	metrics.Alarm(bridge.Alarm{Kind: "of a later version", Upstream: "nic"})
	families, err := metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, f := range families {
		count[f.GetName()] = len(f.GetMetric())
	}
	if count["einvoice_attempts_total"] != 2 || count["einvoice_attempt_seconds"] != 1 || count["einvoice_alarms_total"] != 1 {
		t.Errorf("counted %v", count)
	}
}
