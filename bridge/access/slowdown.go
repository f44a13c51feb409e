package access

import (
	"sync"
	"time"
)

// slowdown makes guessing slow: after some free failures every further one of the same name or address costs a wait
// that doubles from 1 s to 60 s. Names cover unknown ones too, so that it tells nobody which exist.
type slowdown struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[string]failures
}

type failures struct {
	count       int
	until, last time.Time
}

// culprit is what failures are counted by, and how many are free.
type culprit struct {
	key  string
	free int
}

const (
	freeByName    = 5
	freeByAddress = 20 // many callers may share one, behind a proxy
	longestWait   = 60 * time.Second
	forgetAfter   = 15 * time.Minute
	culpritsMost  = 10_000
)

func newSlowdown(now func() time.Time) *slowdown {
	return &slowdown{now: now, by: map[string]failures{}}
}

// wait is how long none of these may try again; 0 when they may now.
func (s *slowdown) wait(who ...culprit) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var longest time.Duration
	for _, c := range who {
		longest = max(longest, s.by[c.key].until.Sub(s.now()))
	}
	return max(longest, 0)
}

func (s *slowdown) failed(who ...culprit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, c := range who {
		f := s.by[c.key]
		if now.Sub(f.last) > forgetAfter {
			f = failures{}
		}
		f.count, f.last = f.count+1, now
		if over := f.count - c.free; over > 0 {
			f.until = now.Add(min(longestWait, time.Second<<min(over-1, 10)))
		}
		s.room(now)
		s.by[c.key] = f
	}
}

func (s *slowdown) succeeded(c culprit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, c.key)
}

// room keeps the memory of failures bounded: forgotten ones go first, then any.
func (s *slowdown) room(now time.Time) {
	if len(s.by) < culpritsMost {
		return
	}
	for k, f := range s.by {
		if now.Sub(f.last) > forgetAfter {
			delete(s.by, k)
		}
	}
	for k := range s.by {
		if len(s.by) < culpritsMost {
			return
		}
		delete(s.by, k)
	}
}
