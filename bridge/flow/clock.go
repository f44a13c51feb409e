package flow

import (
	"sync"
	"time"
)

// catchUp is the share of its pace that the clock gives up while it is ahead of the wall.
const catchUp = 10

// steady is the wall clock as long as that goes forward. When it is set back, this one goes on, a tenth slower, until the
// wall has caught up: what was planned or remembered before is neither put off by the step nor believed for longer. It
// has no monotonic part: it is compared with times of the record.
func steady(wall func() time.Time) func() time.Time {
	var (
		mu   sync.Mutex
		said = wall().Round(0)
		at   = time.Now()
	)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now, is := time.Now(), wall().Round(0)
		passed := now.Sub(at) // monotonic
		at, said = now, said.Add(passed)
		if ahead := said.Sub(is); ahead > 0 {
			said = said.Add(-min(ahead, passed/catchUp))
		} else {
			said = is
		}
		return said
	}
}
