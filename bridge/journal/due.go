package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"einvoice-bridge/bridge"
)

// The index of unfinished entries is used only where its condition stands word for word.
const (
	selectDue = `SELECT id FROM entries WHERE state <> 'final' AND state = 'open' AND next_lookup > 0 AND next_lookup <= $1%s
		ORDER BY next_lookup LIMIT $2`
	selectUnended = `SELECT id FROM entries WHERE state <> 'final' AND state IN ('accepted', 'sending')%s ORDER BY id`
	// Leaves out what another instance has; those rows can't be claimed anyway.
	unleased = ` AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.document = entries.document
		AND l.space = entries.space AND l.owner <> $%d AND l.until > ` + clock + `)`
)

// Due claims open entries whose lookup is due. Entries that this instance has a lease of already may be among them.
func (j *Journal) Due(ctx context.Context, now time.Time, n int) ([]bridge.Entry, error) {
	ids, err := j.candidates(ctx, selectDue, micros(now), n)
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
	ids, err := j.candidates(ctx, selectUnended)
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

// candidates are the ids that query finds and nobody else carries, as far as one can tell before claiming them.
func (j *Journal) candidates(ctx context.Context, query string, args ...any) (ids []int64, err error) {
	free := ""
	if j.shared != nil {
		args = append(args, j.instance)
		free = fmt.Sprintf(unleased, len(args))
	}
	r := &reading{j: j, ctx: ctx}
	r.query(func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, fmt.Sprintf(query, free), args...)
	return ids, j.explain(r.err)
}

// claim takes the lease of an entry and returns it if want holds; nil when somebody else has it or it has changed. One
// that was left behind while sending becomes open.
func (j *Journal) claim(ctx context.Context, id int64, now time.Time, want func(*record) bool) (e *bridge.Entry, fresh bool, err error) {
	r := &reading{j: j, ctx: ctx}
	rec := load(r, selectEntry, id)
	if rec == nil {
		return nil, false, j.explain(r.err)
	}
	who := bridge.Entry{Key: rec.Key, Taxpayer: rec.Taxpayer}
	fresh, ok := j.leases.take(who.Key, who.Taxpayer)
	if !ok || rec.State == bridge.Sending && !fresh {
		return nil, false, nil
	}
	var until time.Time
	err = j.write(ctx, who.Key.Document, func(t *tx) error {
		if until, ok = j.shared.take(t, who.Key, who.Taxpayer); !ok {
			return bridge.ErrBusy
		}
		if rec = load(t, selectEntry, id); rec != nil && fresh { // again, now that nobody else can change it
			j.orphan(t, rec, now)
		}
		return nil
	}, func(bool) {
		if fresh {
			j.leases.drop(who.Key, who.Taxpayer)
		}
	})
	switch {
	case errors.Is(err, bridge.ErrBusy):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("claiming entry %d: %w", id, err)
	case rec != nil && want(rec):
		j.leases.hold(who.Key, who.Taxpayer, until)
		j.leases.remember(rec)
		c := rec.clone()
		return &c, fresh, nil
	case fresh:
		err = j.Release(ctx, who)
	}
	return nil, false, err
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
