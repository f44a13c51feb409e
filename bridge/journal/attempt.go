package journal

import (
	"context"
	"fmt"
	"time"

	"einvoice-bridge/bridge"
)

const (
	// What the first caller asked is put beside before it becomes what another one does.
	keepFirstAsk = `UPDATE ends SET ask_caller = COALESCE(ask_caller, e.caller), ask_irn = COALESCE(ask_irn, e.irn),
		ask_reason = COALESCE(ask_reason, e.reason), ask_remarks = COALESCE(ask_remarks, e.remarks)
		FROM entries e WHERE e.id = $1 AND entry = $1 AND ask_ref IS NOT NULL`
	updateRequest = `UPDATE entries SET upstream = $2, ref = $3, caller = $4, irn = $5, reason = $6, remarks = $7, expires = $8
		WHERE id = $1`
	// How the first send ended is put beside before how the entry stands becomes something else.
	updateStanding = `UPDATE ends SET sent_class = COALESCE(sent_class, class), sent_outcome = COALESCE(sent_outcome, outcome),
		state = $3, class = $4, outcome = $5, updated = $6, next_lookup = $7, told = $8, version = version + 1
		WHERE entry = $1 AND version = $2`
	stand = `INSERT INTO ends (entry, state, class, outcome, updated, next_lookup, told, version, sent_upstream, sent_ended,
		sent_class, sent_outcome) SELECT id, $2, 'none', '{}', created, 0, %s, 1, upstream, 0, 'none', '{}' FROM entries WHERE id = $1
		ON CONFLICT (entry) DO UPDATE SET `
)

// standing writes down how an entry stands that has no row for it yet: as $2. One that has is locked.
var standing = fmt.Sprintf(stand, "0") + `entry = excluded.entry`

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
		rec, err = change(t, e.ID, known, func(r *entryRow) error {
			r.Upstream, r.Ref, r.Caller, r.IRN, r.Reason, r.Remarks = e.Upstream, e.Ref, e.Caller, e.IRN, e.Reason, e.Remarks
			return decide(r)
		})
		if rec != nil {
			t.Exec(keepFirstAsk, rec.ID)
			t.Exec(updateRequest, rec.ID, rec.Upstream, rec.Ref, rec.Caller, rec.IRN, string(rec.Reason), rec.Remarks, micros(rec.Expires))
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

// change applies decide to how the entry stands and writes that. known may be out of date: the version tells, and then the
// row is read first. The result is nil only when t failed.
func change(t *tx, id int64, known *entryRow, decide func(*entryRow) error) (*entryRow, error) {
	for range 2 {
		r := known
		if r == nil || r.version == 0 {
			if r = lockEntry(t, id); r == nil {
				return nil, bridge.ErrNoEntry
			}
		}
		c := r.copy()
		if err := decide(c); err != nil {
			return nil, err
		}
		if update(t, c) || t.Err != nil {
			return c, nil
		}
		known = nil
	}
	t.Err = fmt.Errorf("entry %d changed although it was locked", id)
	return nil, nil
}

// lockEntry reads an entry and keeps others from changing how it stands; nil when there is none or t failed.
func lockEntry(t *tx, id int64) *entryRow {
	t.Exec(standing, id, string(bridge.Sending))
	return load(t, selectEntry, id)
}

// update writes how the entry stands if its version still is the one on disk.
func update(t *tx, r *entryRow) bool {
	n := t.Exec(updateStanding, r.ID, r.version, string(r.State), r.Outcome.Class.String(), encodeOutcome(&r.Outcome),
		micros(r.Updated), micros(r.NextLookup), r.told)
	r.version++
	return n == 1
}
