package upstream

import (
	"context"
	"fmt"
	"time"
)

// Slots bound how many calls run at once against one account. They are safe for concurrent use.
type Slots struct{ places chan struct{} }

type slotsKey struct {
	key string
	n   int
}

// Slots are the n places under key: the first call makes them, later ones with the same key and number get the same
// ones, so that adapters which share an account share its places. A changed number makes new ones, and calls in flight
// keep the old.
func (s *Shared) Slots(key string, n int) Slots {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slots.get(slotsKey{key, n}, func() Slots { return Slots{make(chan struct{}, n)} })
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
