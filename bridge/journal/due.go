package journal

import (
	"context"
	"fmt"
	"time"

	"einvoice-bridge/bridge"
)

const (
	selectDue = `SELECT id FROM entries WHERE state = 'open' AND next_lookup > 0 AND next_lookup <= $1
		ORDER BY next_lookup LIMIT $2`
	selectUnended = `SELECT id FROM entries WHERE state IN ('accepted', 'sending') ORDER BY id`
)

// Due claims open entries whose lookup is due. Entries that this instance has a lease of already may be among them.
func (j *Journal) Due(ctx context.Context, now time.Time, n int) ([]bridge.Entry, error) {
	ids, err := j.ids(ctx, selectDue, micros(now), n)
	if err != nil {
		return nil, fmt.Errorf("reading which lookups are due: %w", err)
	}
	var due []bridge.Entry
	for _, id := range ids {
		e, _, err := j.claim(ctx, id, now, func(r *record) bool {
			return r.State == bridge.Open && !r.NextLookup.IsZero() && !r.NextLookup.After(now)
		})
		if err != nil {
			return due, err
		}
		if e != nil {
			due = append(due, *e)
		}
	}
	return due, nil
}

// Orphans claims accepted entries that no living instance carries, in order, and turns sending ones whose instance is
// gone into open ones with a lookup due.
func (j *Journal) Orphans(ctx context.Context, now time.Time) ([]bridge.Entry, error) {
	ids, err := j.ids(ctx, selectUnended)
	if err != nil {
		return nil, fmt.Errorf("reading what was left behind: %w", err)
	}
	var waiting []bridge.Entry
	for _, id := range ids {
		if j.leases.recall(id) != nil {
			continue // carried here
		}
		e, fresh, err := j.claim(ctx, id, now, func(r *record) bool { return r.State == bridge.Accepted })
		if err != nil {
			return waiting, err
		}
		if e != nil && fresh {
			waiting = append(waiting, *e)
		}
	}
	return waiting, nil
}

func (j *Journal) ids(ctx context.Context, query string, args ...any) (ids []int64, err error) {
	r := &reading{j: j, ctx: ctx}
	r.query(func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	return ids, j.explain(r.err)
}

// claim takes the lease of an entry and returns it if want still holds; nil when somebody else has it or it has
// changed. One left behind while sending becomes open.
func (j *Journal) claim(ctx context.Context, id int64, now time.Time, want func(*record) bool) (*bridge.Entry, bool, error) {
	r := &reading{j: j, ctx: ctx}
	rec := load(r, selectEntry, id)
	if rec == nil {
		return nil, false, j.explain(r.err)
	}
	fresh, ok := j.leases.take(rec.Key, rec.Taxpayer)
	if !ok || rec.State == bridge.Sending && !fresh {
		return nil, false, nil
	}
	drop := func() {
		if fresh {
			j.leases.drop(rec.Key, rec.Taxpayer)
		}
	}
	err := j.writer.write(ctx, func(t *tx) error { // again, now that nobody else can change it
		if rec = load(t, selectEntry, id); rec != nil && fresh {
			j.orphan(t, rec, now)
		}
		return nil
	}, func(bool) { drop() })
	if err != nil {
		return nil, false, fmt.Errorf("claiming entry %d: %w", id, err)
	}
	if rec == nil || !want(rec) {
		drop()
		return nil, false, nil
	}
	j.leases.remember(rec)
	e := rec.clone()
	return &e, fresh, nil
}

// orphan turns an entry that was left while sending into an open one with a lookup due. Its attempt stays as it is:
// without a class, it may have been sent.
func (j *Journal) orphan(t *tx, r *record, now time.Time) {
	if r.State != bridge.Sending {
		return
	}
	r.State, r.Outcome = bridge.Open, bridge.Outcome{Class: bridge.Unknown}
	r.NextLookup, r.Updated = at(micros(now)), at(micros(now))
	t.update(updateOutcome, r)
}
