package journal

import (
	"context"
	"fmt"
	"time"

	"einvoice-bridge/bridge"
)

const bookedSends = `SELECT count(*) FROM sends WHERE key = $1 AND at > $2`

// LookUpSoon makes the next lookup of a doubtful entry due at once, for whichever instance comes to it first.
// ErrNotWaiting when nothing is in doubt.
func (j *Journal) LookUpSoon(ctx context.Context, id int64) error {
	err := j.write(ctx, "", func(t *tx) error {
		_, err := change(t, id, nil, updateOutcome, func(r *record) error {
			if r.State != bridge.Open {
				return bridge.ErrNotWaiting
			}
			r.NextLookup = at(t.now())
			return nil
		})
		return err
	}, nil)
	if err != nil {
		return fmt.Errorf("entry %d: %w", id, err)
	}
	return nil
}

// Room tells how many sends r has room for now, without booking one.
func (j *Journal) Room(ctx context.Context, r bridge.Rate) (int, error) {
	booked := 0
	q := &reading{j: j, ctx: ctx}
	q.query(func(scan func(...any) error) error { return scan(&booked) }, bookedSends, r.Key, q.now()-r.Per.Microseconds())
	if q.err != nil {
		return 0, fmt.Errorf("reading what is left of %s: %w", r.Key, j.explain(q.err))
	}
	return max(r.Limit-booked, 0), nil
}

// Commits tells what the writers did since Open: transactions, the writes that shared them, and the time they took.
func (j *Journal) Commits() (commits, writes int64, busy time.Duration) {
	for _, w := range j.writers {
		commits, writes, busy = commits+w.commits.Load(), writes+w.writes.Load(), busy+time.Duration(w.busy.Load())
	}
	return commits, writes, busy
}
