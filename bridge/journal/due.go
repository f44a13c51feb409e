package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"einvoice-bridge/bridge"
)

// The index of unfinished entries is used only where its condition stands word for word.
const (
	selectDue = `SELECT entry FROM ends JOIN entries ON id = entry
		WHERE state <> 'final' AND state = 'open' AND next_lookup > 0 AND next_lookup <= $1%s ORDER BY next_lookup LIMIT $2`
	selectFar = `SELECT entry FROM ends JOIN entries ON id = entry
		WHERE state <> 'final' AND state = 'open' AND next_lookup > $1%s ORDER BY next_lookup LIMIT $2`
	selectUnended = `SELECT id FROM (SELECT id, document, space FROM ends JOIN entries ON id = entry
			WHERE state <> 'final' AND state IN ('accepted', 'sending')
		UNION ALL SELECT id, document, space FROM entries WHERE id > $1 AND NOT EXISTS (SELECT 1 FROM ends WHERE entry = id)
		) AS unended WHERE id > 0%s ORDER BY id`
	// Leaves out what another instance has; those rows can't be claimed anyway. It is worded so that PostgreSQL reads the
	// leases once, not once for each entry.
	unleased = ` AND (document, space) NOT IN (SELECT document, space FROM leases WHERE owner <> $%d AND until > ` + clock + `)`
)

const (
	// lookupMost is further ahead than lookups are planned: what lies beyond was planned by a clock that was ahead.
	lookupMost = 2 * time.Hour
	// claimers is how many entries are claimed side by side, so that they share commits.
	claimers = 32
)

// Due claims open entries whose lookup is due, or planned for a time too far ahead to be meant. Where these are fewer
// than n, entries follow that are due and this instance's already. What it has claimed it returns, also beside an error.
func (j *Journal) Due(ctx context.Context, now time.Time, n int) ([]bridge.Entry, error) {
	far, limit := now.Add(lookupMost), n+j.leases.size()
	ids, err := j.candidates(ctx, selectDue, micros(now), limit)
	more, err2 := j.candidates(ctx, selectFar, micros(far), limit)
	if err = cmp.Or(err, err2); err != nil {
		return nil, fmt.Errorf("reading which lookups are due: %w", err)
	}
	var free, ours []int64
	for _, id := range append(ids, more...) {
		if j.leases.recall(id) == nil {
			free = append(free, id)
		} else {
			ours = append(ours, id)
		}
	}
	ids = append(free, ours...)
	return claimAll(ctx, ids[:min(n, len(ids))], func(id int64) (*bridge.Entry, error) {
		e, _, err := j.claim(ctx, id, now, func(r *entryRow) bool {
			return r.State == bridge.Open && !r.NextLookup.IsZero() && (!r.NextLookup.After(now) || r.NextLookup.After(far))
		})
		return e, err
	})
}

// Orphans claims accepted entries that no living instance carries, in order, and turns sending ones whose instance is
// gone into open ones with a lookup due. What it has claimed it returns, also beside an error.
func (j *Journal) Orphans(ctx context.Context, now time.Time) ([]bridge.Entry, error) {
	upto, err := j.ended(ctx)
	var ids []int64
	if err == nil {
		ids, err = j.candidates(ctx, selectUnended, upto)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was left behind: %w", err)
	}
	claimed, err := claimAll(ctx, ids, func(id int64) (*bridge.Entry, error) {
		if j.leases.recall(id) != nil {
			return nil, nil // carried here
		}
		e, fresh, err := j.claim(ctx, id, now, func(r *entryRow) bool { return r.State == bridge.Accepted })
		if !fresh {
			return nil, err
		}
		return e, err
	})
	return claimed, cmp.Or(err, j.raise(ctx, upto))
}

// candidates are the ids that query finds and nobody else carries, as far as one can tell before claiming them.
func (j *Journal) candidates(ctx context.Context, query string, args ...any) (ids []int64, err error) {
	free := ""
	if j.shared != nil {
		args = append(args, j.instance)
		free = fmt.Sprintf(unleased, len(args))
	}
	r := j.read.Whole(ctx)
	ids = r.IDs(fmt.Sprintf(query, free), args...)
	return ids, j.explain(r.Err)
}

// claimAll claims what it can, in the order of ids, and returns it also beside the first error: the leases are the
// caller's. An entry that can't be claimed keeps nobody from the others, but when ctx is over it leaves the rest.
func claimAll(ctx context.Context, ids []int64, claim func(id int64) (*bridge.Entry, error)) (claimed []bridge.Entry, err error) {
	got, errs := make([]*bridge.Entry, len(ids)), make([]error, len(ids))
	var all errgroup.Group
	all.SetLimit(claimers)
	for i, id := range ids {
		if errs[i] = ctx.Err(); errs[i] != nil {
			break
		}
		all.Go(func() error { got[i], errs[i] = claim(id); return nil })
	}
	_ = all.Wait()
	for i, e := range got {
		if e != nil {
			claimed = append(claimed, *e)
		}
		err = cmp.Or(err, errs[i])
	}
	return claimed, err
}

// claim takes the lease of an entry and returns it if want holds; nil when somebody else has it or it has changed. One
// that was left behind while sending becomes open. Without an entry to return it keeps no lease.
func (j *Journal) claim(ctx context.Context, id int64, now time.Time, want func(*entryRow) bool) (e *bridge.Entry, fresh bool, err error) {
	r := j.read.Point(ctx)
	rec := load(r, selectEntry, id)
	if rec == nil {
		return nil, false, j.explain(r.Err)
	}
	k, taxpayer := rec.Key, rec.Taxpayer
	fresh, ok := j.leases.take(k, taxpayer)
	if !ok || rec.State == bridge.Sending && !fresh {
		return nil, false, nil
	}
	rec, until, err := j.claimRow(ctx, rec, fresh, now)
	switch {
	case errors.Is(err, bridge.ErrBusy):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("claiming entry %d: %w", id, err)
	case rec != nil && want(rec):
		j.leases.hold(k, taxpayer, until)
		j.leases.remember(rec)
		c := rec.clone()
		return &c, fresh, nil
	case fresh:
		_ = j.Release(ctx, bridge.Entry{Key: k, Taxpayer: taxpayer}) // else it is given back soon
	}
	return nil, false, nil
}

// claimRow reads an entry again, now that nobody else here can change it, and in a database takes its lease. On an
// error a fresh lease is given back.
func (j *Journal) claimRow(ctx context.Context, was *entryRow, fresh bool, now time.Time) (rec *entryRow, until term, err error) {
	undo := func(committed bool) {
		if fresh {
			j.letGo(was.Key, was.Taxpayer, committed)
		}
	}
	if j.shared == nil && was.State != bridge.Sending { // there is nothing to write
		r := j.read.Point(ctx)
		if rec = load(r, selectEntry, was.ID); r.Err != nil {
			undo(false)
		}
		return rec, term{}, j.explain(r.Err)
	}
	var (
		read  *entryRow
		lease term
	)
	err = j.write(ctx, was.Key.Document, func(t *tx) (err error) {
		var ok bool
		if lease, ok = j.take(t, was.Key, was.Taxpayer, fresh); !ok {
			return bridge.ErrBusy
		}
		if read = load(t, selectEntry, was.ID); read != nil && fresh {
			j.orphan(t, read, now)
		}
		return nil
	}, undo)
	if err != nil {
		return nil, term{}, err
	}
	return read, lease, nil
}

// orphan turns an entry that was left while sending into an open one with a lookup due. Its attempt stays as it is:
// without a class, it may have been sent.
func (j *Journal) orphan(t *tx, r *entryRow, now time.Time) {
	if r.State != bridge.Sending {
		return
	}
	r.State, r.Outcome = bridge.Open, bridge.Outcome{Class: bridge.Unknown}
	r.NextLookup, r.Updated = at(micros(now)), at(micros(now))
	if r.version == 0 {
		t.Exec(standing, r.ID, string(bridge.Sending))
		r.version = 1
	}
	update(t, r)
}
