package journaltest_test

import (
	"sync/atomic"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal/journaltest"
)

func TestModel(t *testing.T) {
	journaltest.ConformInBubble(t, func(t *testing.T) journaltest.Cluster {
		m := journaltest.NewModel()
		steps := map[journaltest.Process]*atomic.Int64{}
		return journaltest.Cluster{
			Join: func(name string) journaltest.Process {
				step := &atomic.Int64{}
				p := m.Instance(name, func() time.Time { return time.Now().Add(time.Duration(step.Load())) })
				steps[p] = step
				return p
			},
			Several: true,
			Kill:    func(p journaltest.Process) { p.(*journaltest.Instance).Kill() },
			Cut:     func(p journaltest.Process) { p.(*journaltest.Instance).Cut() },
			Mend:    func(p journaltest.Process) { p.(*journaltest.Instance).Mend() },
			Lease:   m.Lease, Settle: m.Settle,
			Step: func(p journaltest.Process, d time.Duration) { steps[p].Add(int64(d)) },
			Asks: func(_ journaltest.Process, entry int64) (all []bridge.Ask) {
				for _, a := range m.Asks() {
					if a.Entry == entry {
						all = append(all, a)
					}
				}
				return all
			},
		}
	})
}
