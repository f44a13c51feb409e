package access

import (
	"sync"
	"time"
)

// slowdown makes guessing slow: after some free failures every further one of the same culprit costs a wait that doubles
// from 1 s to 60 s. Names cover unknown ones too, so that it tells nobody which exist.
//
// Who guesses a caller's password must not lock the caller out: a name at an address from which it has been let in
// before answers for its own failures alone.
type slowdown struct {
	now  func() time.Time
	mu   sync.Mutex
	by   map[string]failures
	home map[string]time.Time // when a name was let in at an address last; only who knows the password adds to it
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
	freeAtAddress = 5  // of a name at one address
	freeByAddress = 20 // many callers may share one, behind a proxy
	freeByName    = 50 // at all addresses where it was never let in: guessers who share the work
	longestWait   = 60 * time.Second
	forgetAfter   = 15 * time.Minute
	culpritsMost  = 10_000
	homesMost     = 10_000
)

func newSlowdown(now func() time.Time) *slowdown {
	return &slowdown{now: now, by: map[string]failures{}, home: map[string]time.Time{}}
}

// atHome tells whether a name has been let in at an address before.
func (s *slowdown) atHome(here culprit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.home[here.key]
	return ok
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

// succeeded notes that a name was let in at an address.
func (s *slowdown) succeeded(here culprit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, here.key)
	if _, ok := s.home[here.key]; !ok && len(s.home) >= homesMost {
		oldest := here.key
		for k, at := range s.home {
			if oldest == here.key || at.Before(s.home[oldest]) {
				oldest = k
			}
		}
		delete(s.home, oldest)
	}
	s.home[here.key] = s.now()
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
