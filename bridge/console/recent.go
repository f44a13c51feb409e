package console

import (
	"slices"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// Recent is how an upstream did lately in this process.
type Recent struct {
	Last     time.Time     // end of the last send or lookup; zero: none yet
	Median   time.Duration // of the last sends and lookups
	Slowest  time.Duration
	Troubled time.Time // last one that came to nothing clear; zero: none yet
	Trouble  string    // how that one ended
}

// remembered is how many sends and lookups of an upstream are looked at.
const remembered = 50

type recents struct {
	mu sync.Mutex
	by map[string]*recent
}

type recent struct {
	Recent
	took []time.Duration
}

func (rs *recents) add(r bridge.AttemptReport) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.by == nil {
		rs.by = map[string]*recent{}
	}
	u := rs.by[r.Upstream]
	if u == nil {
		u = &recent{}
		rs.by[r.Upstream] = u
	}
	u.Last = time.Now()
	if u.took = append(u.took, r.Took); len(u.took) > remembered {
		u.took = u.took[1:]
	}
	troubled := r.Class == bridge.Unknown || r.Class == bridge.Misconfigured || r.Class == bridge.NotApplied && r.Attempt == bridge.SendCancel
	if troubled {
		u.Troubled, u.Trouble = u.Last, classText(r.Class)
		if s := statusClass(r.HTTPStatus); s != "none" {
			u.Trouble += ", HTTP " + s
		}
	}
}

// Recent tells how an upstream did lately.
func (m *Metrics) Recent(upstream string) Recent {
	m.recent.mu.Lock()
	defer m.recent.mu.Unlock()
	u := m.recent.by[upstream]
	if u == nil {
		return Recent{}
	}
	sorted := slices.Sorted(slices.Values(u.took))
	r := u.Recent
	r.Median, r.Slowest = sorted[len(sorted)/2], sorted[len(sorted)-1]
	return r
}
