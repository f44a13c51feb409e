package journal

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge/journal/engine"
)

// stepLeast is how far this machine's two clocks must have come apart to call it a step: the wall clock was set, or the
// machine slept.
const stepLeast = 2 * time.Second

// What an SQLite file holds of times that something lasts until, or is counted from, all by this machine's clock. A lookup
// that comes early does no harm, and tokens are let in by a clock that can't be set. Each takes the step, in microseconds; the
// last tells those who remember a row that it has changed.
var movedByStep = [...]string{
	`UPDATE sends SET at = at + $1`,
	`UPDATE gates SET until = until + $1`,
	`UPDATE sessions SET until = until + $1, renew = renew + $1, turn = CASE turn WHEN 0 THEN 0 ELSE turn + $1 END`,
	`UPDATE entries SET expires = expires + $1 WHERE id IN (SELECT entry FROM ends WHERE state <> 'final' AND state = 'accepted')`,
	`UPDATE ends SET version = version + 1 WHERE state <> 'final' AND state = 'accepted' AND $1 <> 0`,
}

// clocks hold this machine's clocks against each other and, with PostgreSQL, against the server's.
type clocks struct {
	wall      func() time.Time
	opened    time.Time    // by the wall clock
	monotonic time.Time    // the same moment
	moved     atomic.Int64 // time.Duration; by how much the steps since then have moved what is in the file
	server    atomic.Pointer[reading]
}

// reading is the server's clock as it was read last.
type reading struct{ said, at time.Time }

func newClocks(wall func() time.Time) clocks {
	return clocks{wall: wall, opened: wall().Round(0), monotonic: time.Now()}
}

// step is how far the wall clock was set since it was last followed.
func (c *clocks) step() time.Duration {
	by := c.wall().Round(0).Sub(c.opened) - time.Since(c.monotonic) - time.Duration(c.moved.Load())
	if by.Abs() < stepLeast {
		return 0
	}
	return by
}

// Now is the clock by which the record goes: this machine's or, with PostgreSQL, the server's, on which instances agree. It
// may be set back.
func (j *Journal) Now() time.Time {
	if r := j.clocks.server.Load(); r != nil {
		return r.said.Add(time.Since(r.at))
	}
	return j.now()
}

// readClock reads the server's clock on the way.
func (j *Journal) readClock(t *engine.Tx) (us int64) {
	us = t.Now()
	if j.shared != nil && us > 0 {
		j.clocks.server.Store(&reading{at(us), time.Now()})
	}
	return us
}

// follow moves what the file holds of times with the wall clock when that was set: a full rate stays full, a shut gate
// shut, and what waits does not expire, not even for the next process. It comes before anything else is written: what is
// written now goes by the clock as it is now. With PostgreSQL these times are the server's.
func (j *Journal) follow(ctx context.Context) error {
	if !j.serving || j.shared != nil || j.clocks.step() == 0 {
		return nil
	}
	var by time.Duration                                     // moved in the transaction under way
	err := j.booker.Write(ctx, 0, func(t *engine.Tx) error { // the file has one writer
		j.clocks.moved.Add(int64(-by)) // of one that was rolled back
		by = j.clocks.step()
		j.clocks.moved.Add(int64(by))
		for i := 0; by != 0 && i < len(movedByStep); i++ {
			t.Exec(movedByStep[i], by.Microseconds())
		}
		return nil
	}, func(committed bool) {
		if !committed {
			j.clocks.moved.Add(int64(-by))
		}
	})
	if err != nil {
		return fmt.Errorf("following the clock, which was set: %w", err)
	}
	j.gates.again()
	return nil
}
