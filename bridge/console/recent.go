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
	now := time.Now()
	if r.Sent {
		u.Last = now
		if u.took = append(u.took, r.Took); len(u.took) > remembered {
			u.took = u.took[1:]
		}
	}
	if troubled(r) {
		u.Troubled, u.Trouble = now, classText(r.Class)
		if r.Class == bridge.Unknown {
			u.Trouble = "outcome not known"
		}
		if !r.Sent {
			u.Trouble += ", not sent"
		}
		if s := statusClass(r.HTTPStatus); s != "none" {
			u.Trouble += ", HTTP " + s
		}
	}
}

// troubled tells whether a send or lookup came to nothing clear.
func troubled(r bridge.AttemptReport) bool {
	switch r.Class {
	case bridge.Unknown, bridge.Misconfigured, bridge.Unclear:
		return true
	}
	return r.Class == bridge.NotApplied && r.Attempt == bridge.SendCancel // of a lookup it is "active"
}

// Recent tells how an upstream did lately.
func (m *Metrics) Recent(upstream string) Recent {
	m.recent.mu.Lock()
	defer m.recent.mu.Unlock()
	u := m.recent.by[upstream]
	if u == nil {
		return Recent{}
	}
	r := u.Recent
	if sorted := slices.Sorted(slices.Values(u.took)); len(sorted) > 0 {
		r.Median, r.Slowest = sorted[len(sorted)/2], sorted[len(sorted)-1]
	}
	return r
}
