// Package memory is what adapters and sessions stand on in tests, and imports neither. Only tests import it.
// A package of its own, since the tests of package upstream need it, which upstreamtest imports.
package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// Sessions is a bridge.Sessions in memory that keeps its promises.
type Sessions struct {
	mu    sync.Mutex
	kept  map[string]bridge.Session
	turns map[string]turn
}

type turn struct {
	who   string
	until time.Time
}

// Session implements bridge.Sessions.
func (s *Sessions) Session(_ context.Context, credential string) (bridge.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.kept[credential]
	kept.Sealed = slices.Clone(kept.Sealed)
	return kept, nil
}

// LogIn implements bridge.Sessions.
func (s *Sessions) LogIn(_ context.Context, credential, who string, generation int64) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.turns[credential]; s.kept[credential].Generation != generation || t.who != who && time.Now().Before(t.until) {
		return false, nil
	}
	if s.turns == nil {
		s.turns = map[string]turn{}
	}
	s.turns[credential] = turn{who, time.Now().Add(bridge.LoginTurn)}
	return true, nil
}

// Keep implements bridge.Sessions.
func (s *Sessions) Keep(_ context.Context, credential string, n bridge.Session) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[credential].Generation != n.Generation-1 {
		return false, nil
	}
	if s.kept == nil {
		s.kept = map[string]bridge.Session{}
	}
	s.kept[credential] = n
	delete(s.turns, credential)
	return true, nil
}

// Yield implements bridge.Sessions.
func (s *Sessions) Yield(_ context.Context, credential, who string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turns[credential].who == who {
		delete(s.turns, credential)
	}
	return nil
}

// Change puts other bytes into the place of a sealed session, as whoever can write to a journal could.
func (s *Sessions) Change(credential string, change func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.kept[credential]
	kept.Sealed = change(slices.Clone(kept.Sealed))
	s.kept[credential] = kept
}
