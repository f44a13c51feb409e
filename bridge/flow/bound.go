package flow

import (
	"context"
	"sync"
	"time"
)

// bound is a context that ends after a while, for what hardly ever waits: its timer is set when somebody does. One that is
// always set costs a call as much as all that its gates are asked.
type bound struct {
	context.Context // above it
	until           time.Time

	mu    sync.Mutex
	armed context.Context // nil: nobody has waited yet
	end   context.CancelFunc
}

// within bounds ctx; release gives its timer back.
func within(ctx context.Context, d time.Duration) *bound {
	return &bound{Context: ctx, until: time.Now().Add(d)}
}

func (b *bound) arm() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.armed == nil {
		b.armed, b.end = context.WithDeadline(b.Context, b.until)
	}
	return b.armed
}

func (b *bound) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end != nil {
		b.end()
	}
}

// Deadline, Done and Err implement context.Context.
func (b *bound) Deadline() (time.Time, bool) { return b.arm().Deadline() }
func (b *bound) Done() <-chan struct{}       { return b.arm().Done() }
func (b *bound) Err() error                  { return b.arm().Err() }
