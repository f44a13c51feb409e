package upstream

import (
	"context"
	"fmt"
	"time"
)

// Slots bound how many calls run at once against one account. They are safe for concurrent use.
type Slots struct{ places chan struct{} }

// Slots are the n places under key: the first call makes them, later ones with the same key get the same ones, so
// that adapters which share an account share its places.
func (s *Shared) Slots(key string, n int) Slots {
	s.mu.Lock()
	defer s.mu.Unlock()
	slots, ok := s.slots[key]
	if !ok {
		slots = Slots{make(chan struct{}, n)}
		s.slots[key] = slots
	}
	return slots
}

// Take waits for a place, at most within, and returns how to give it back. The error says that none came free.
func (s Slots) Take(ctx context.Context, within time.Duration) (free func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	select {
	case s.places <- struct{}{}:
		return func() { <-s.places }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("all %d calls at once that the account allows are taken: %w", cap(s.places), ctx.Err())
	}
}
