package console

import (
	"context"
	"slices"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// counter remembers how many calls there were, so that a chart of a month doesn't count a million calls every few
// seconds: what is past stays as it was counted.
type counter struct {
	records Records
	mu      sync.Mutex
	by      map[string]counted // by span
}

type counted struct {
	counts []bridge.Count
	until  time.Time // counted up to here for good
}

// unsettled is how long after its time a call may still be written down.
const unsettled = 2 * time.Minute

// of gives the calls of a span that ends now.
func (c *counter) of(ctx context.Context, s span, from, now time.Time) ([]bridge.Count, error) {
	c.mu.Lock() // who comes meanwhile has the result for nothing
	defer c.mu.Unlock()
	known := c.by[s.Name]
	since := known.until
	if since.Before(from) {
		since = from
	}
	fresh, err := c.records.Counts(ctx, since, now, s.Step)
	if err != nil {
		return nil, err
	}
	kept := slices.DeleteFunc(known.counts, func(n bridge.Count) bool { return n.From.Before(from) || !n.From.Before(since) })
	settled := max(now.Add(-unsettled).Sub(since), 0).Truncate(s.Step)
	all := append(kept, fresh...)
	c.by[s.Name] = counted{all, since.Add(settled)}
	return slices.Clone(all), nil
}
