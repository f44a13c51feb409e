package console

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
)

// Each report counts under its own labels, the second of a kind where the first did, and nothing appears that was not
// reported: a call from the record shows no time on the wire.
func TestSeries(t *testing.T) {
	m := NewMetrics(func() bridge.Load { return bridge.Load{} })
	sent := bridge.CallReport{Caller: "erp", Upstream: "nic", Answer: bridge.Answer{Class: bridge.Cancelled}, How: bridge.FromUpstream, Sends: 1}
	again := bridge.CallReport{Caller: "erp", Upstream: "lhdn", Answer: bridge.Answer{Class: bridge.Cancelled}, How: bridge.FromJournal}
	for _, r := range []*bridge.CallReport{&sent, &again, &sent, &again, &sent} {
		m.Answered(r)
	}
	for _, r := range []bridge.AttemptReport{
		{Upstream: "nic", Attempt: bridge.SendCancel, Class: bridge.Cancelled, HTTPStatus: 200, Sent: true},
		{Upstream: "nic", Attempt: bridge.SendCancel, Class: bridge.Cancelled, HTTPStatus: 201, Sent: true},
		{Upstream: "nic", Attempt: bridge.SendCancel, Class: bridge.NotApplied},
	} {
		m.Attempted(r)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, s := range f.Metric {
			var labels []string
			for _, l := range s.Label {
				labels = append(labels, l.GetValue())
			}
			if n := s.Counter.GetValue() + float64(s.Histogram.GetSampleCount()); n > 0 && len(labels) > 1 && strings.HasPrefix(f.GetName(), "einvoice_") {
				got = append(got, fmt.Sprintf("%s%v %v", strings.TrimPrefix(f.GetName(), "einvoice_"), labels, n))
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"attempt_seconds[cancel nic] 2",
		"attempts_total[cancel cancelled 2xx true nic] 2",
		"attempts_total[cancel not_applied none false nic] 1",
		"call_seconds[journal lhdn] 2", "call_seconds[journal nic] 3",
		"call_seconds[total lhdn] 2", "call_seconds[total nic] 3", "call_seconds[wire nic] 3",
		"calls_total[erp cancelled journal lhdn] 2", "calls_total[erp cancelled upstream nic] 3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}
