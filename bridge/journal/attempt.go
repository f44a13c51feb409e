package journal

import (
	"context"
	"fmt"
	"time"

	"einvoice-bridge/bridge"
)

const (
	updateRequest = `UPDATE entries SET upstream = $3, ref = $4, caller = $5, irn = $6, reason = $7, remarks = $8,
		expires = $9, state = $10, class = $11, outcome = $12, updated = $13, next_lookup = $14, version = version + 1
		WHERE id = $1 AND version = $2`
	updateOutcome = `UPDATE entries SET state = $3, class = $4, outcome = $5, updated = $6, next_lookup = $7,
		told = $8, version = version + 1 WHERE id = $1 AND version = $2`
)

// Attempt makes a send durable before its first byte and puts the entry's request up to date. e is the entry as the
// journal gave it last: one that has ended since (withdrawn, settled by hand) is ErrNotWaiting.
func (j *Journal) Attempt(ctx context.Context, e bridge.Entry, start time.Time) (bridge.Attempt, error) {
	var a bridge.Attempt
	_, err := j.changeRequest(ctx, e, func(r *entryRow) error {
		if r.State == bridge.Final && (e.State != bridge.Final || r.Outcome.Class == bridge.Cancelled || micros(r.Updated) != micros(e.Updated)) {
			return bridge.ErrNotWaiting
		}
		r.State, r.Outcome, r.NextLookup, r.Updated = bridge.Sending, bridge.Outcome{}, time.Time{}, at(micros(start))
		return nil
	}, func(t *tx, r *entryRow) {
		a = j.startAttempt(t, r.Entry, start)
		r.Attempts = append(r.Attempts, a)
	})
	if err != nil {
		return bridge.Attempt{}, fmt.Errorf("writing down an attempt for %s of %s: %w", e.Key.Document, e.Taxpayer, err)
	}
	return a, nil
}

// Requeue puts an entry that has ended, other than Cancelled, back to Accepted with the request and the Expires of e:
// a repeat that has to wait its turn waits as durably as a new one. ErrNotWaiting when the entry has not ended, or for
// good; ErrLostLease when this instance may not carry it.
func (j *Journal) Requeue(ctx context.Context, e bridge.Entry) (bridge.Entry, error) {
	now := j.now()
	rec, err := j.changeRequest(ctx, e, func(r *entryRow) error {
		if r.State != bridge.Final || r.Outcome.Class == bridge.Cancelled {
			return bridge.ErrNotWaiting
		}
		r.State, r.Outcome, r.Expires, r.Updated = bridge.Accepted, bridge.Outcome{}, at(micros(e.Expires)), at(micros(now))
		return nil
	}, func(*tx, *entryRow) {})
	if err != nil {
		return bridge.Entry{}, fmt.Errorf("queueing %s of %s again: %w", e.Key.Document, e.Taxpayer, err)
	}
	return rec.clone(), nil
}

// changeRequest puts the request of e into its entry, and what decide does, and then does more in the same commit, while
// the document is ours.
func (j *Journal) changeRequest(ctx context.Context, e bridge.Entry, decide func(*entryRow) error, more func(*tx, *entryRow)) (*entryRow, error) {
	if !j.leases.valid(e.Key, e.Taxpayer) {
		return nil, bridge.ErrLostLease
	}
	var (
		rec   *entryRow
		until term
	)
	known := j.leases.recall(e.ID)
	err := j.write(ctx, e.Key.Document, func(t *tx) (err error) {
		var ok bool
		if until, ok = j.keep(t, e.Key, e.Taxpayer); !ok {
			return bridge.ErrLostLease
		}
		rec, err = change(t, e.ID, known, updateRequest, func(r *entryRow) error {
			r.Upstream, r.Ref, r.Caller, r.IRN, r.Reason, r.Remarks = e.Upstream, e.Ref, e.Caller, e.IRN, e.Reason, e.Remarks
			return decide(r)
		})
		if rec != nil {
			more(t, rec)
		}
		return err
	}, nil)
	if err != nil {
		return nil, err
	}
	j.leases.hold(e.Key, e.Taxpayer, until)
	j.leases.remember(rec)
	return rec, nil
}

// change applies decide to the entry and writes it with query, which is updateRequest or updateOutcome. known may be
// out of date: the version tells, and then the row is read first. The result is nil only when t failed.
func change(t *tx, id int64, known *entryRow, query string, decide func(*entryRow) error) (*entryRow, error) {
	for range 2 {
		r := known
		if r == nil {
			if r = lockEntry(t, id); r == nil {
				return nil, bridge.ErrNoEntry
			}
		}
		c := *r
		c.Attempts = append(make([]bridge.Attempt, 0, len(r.Attempts)+1), r.Attempts...)
		if err := decide(&c); err != nil {
			return nil, err
		}
		if update(t, query, &c) || t.Err != nil {
			return &c, nil
		}
		known = nil
	}
	t.Err = fmt.Errorf("entry %d changed although it was locked", id)
	return nil, nil
}

// lockEntry reads an entry and keeps others from changing it; nil when there is none or t failed.
func lockEntry(t *tx, id int64) *entryRow {
	if t.Shared {
		return load(t, selectEntry+" FOR UPDATE", id)
	}
	return load(t, selectEntry, id)
}

// update writes the row if its version still stands.
func update(t *tx, query string, r *entryRow) bool {
	args := []any{r.ID, r.version}
	if query == updateRequest {
		args = append(args, r.Upstream, r.Ref, r.Caller, r.IRN, string(r.Reason), r.Remarks, micros(r.Expires))
	}
	args = append(args, string(r.State), r.Outcome.Class.String(), encodeOutcome(r.Outcome), micros(r.Updated),
		micros(r.NextLookup))
	if query == updateOutcome {
		args = append(args, r.told)
	}
	r.version++
	return t.Exec(query, args...) == 1
}
