package journal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"einvoice-bridge/bridge"
)

const (
	// The end of a send that began with its entry, how the entry stands then, and what its first caller is told: unless
	// somebody has said before how it stands, or the caller has been told something.
	insertEnd = `INSERT INTO ends (entry, state, class, outcome, updated, next_lookup, told, version,
		sent_upstream, sent_ended, sent_class, sent_outcome, ask_ref, ask_caller, ask_irn, ask_reason, ask_remarks, ask_received,
		ask_class, ask_told, ask_told_at, ask_how, sent_exchanges, ask_in, ask_out)
		SELECT $1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24
		WHERE NOT EXISTS (SELECT 1 FROM asks WHERE ref = $25) ON CONFLICT DO NOTHING`
	completeFirst = `UPDATE ends SET sent_ended = $2, sent_class = $3, sent_outcome = $4, sent_exchanges = $5
		WHERE entry = $1 AND sent_ended = 0`
	completeAttempt = `UPDATE attempts SET ended = $3, class = $4, outcome = $5, exchanges = $6
		WHERE id = $2 AND entry = $1 AND ended = 0`
	// A call that is told again was written down before without our knowing, or was told something else in the end.
	insertAsk = `INSERT INTO asks (entry, ref, caller, taxpayer, space, document, irn, reason, remarks, received,
		class, told, told_at, how, soap_in, soap_out)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
		WHERE NOT EXISTS (SELECT 1 FROM ends WHERE ask_ref = $2)
		ON CONFLICT (ref) DO UPDATE SET class = excluded.class, told = excluded.told, told_at = excluded.told_at,
			how = excluded.how, soap_out = excluded.soap_out`
	updateFirstAsk = `UPDATE ends SET ask_class = $2, ask_told = $3, ask_told_at = $4, ask_how = $5, ask_out = $6 WHERE ask_ref = $1`
	// What counts is what a caller was told last: one who has asked again knows better.
	recountTold = `UPDATE ends SET told = (WITH heard AS (
			SELECT id, caller, class FROM (` + entryAsks + `) AS a WHERE how <> 'check'
			AND class IN ('cancelled', 'refused', 'not_applied'))
		SELECT COALESCE(max(CASE WHEN h.class = 'cancelled' THEN 1 ELSE 0 END), 0)
			+ COALESCE(max(CASE WHEN h.class <> 'cancelled' THEN 2 ELSE 0 END), 0)
		FROM heard h WHERE NOT EXISTS (SELECT 1 FROM heard l WHERE l.caller = h.caller AND l.id > h.id)), version = version + 1
		WHERE entry = $1`
	entryOf = `SELECT id FROM entries WHERE document = $1 AND space = $2 AND taxpayer = $3`
)

// addTold notes $3 with what callers were told, for an entry that stands as $2 unless it says otherwise.
var addTold = fmt.Sprintf(stand, "$3") + `told = ends.told | excluded.told, version = ends.version + 1 WHERE ends.told <> excluded.told`

// Finish records evidence and gives back the entry as it now stands.
func (j *Journal) Finish(ctx context.Context, f *bridge.Finish) (bridge.Entry, error) {
	asks := encodeAsks(f.Asks)
	end := &ending{Finish: *f, told: toldMask(f.Asks), result: encodeOutcome(&f.Result), exchanges: encodeExchanges(&f.Result)}
	end.Result.Exchanges, end.Outcome.Exchanges, end.At = nil, nil, at(micros(f.At))
	look := j.lookRow(f.Look)

	var rec *entryRow
	known, document := j.leases.recall(f.Entry), ""
	if known != nil {
		document = known.Key.Document
	}
	err := j.writeInOrder(ctx, document, f.Entry, func(t *tx) (err error) {
		r := known
		if r == nil {
			if r = lockEntry(t, f.Entry); r == nil {
				return bridge.ErrNoEntry
			}
		}
		held, rest := j.stillHeld(t, r, f.Release), asks
		if r.version == 0 {
			rec, rest = end.first(t, r, held, asks)
		}
		if r.version > 0 || rec == nil {
			if rec, err = end.later(t, r, held); err != nil {
				return err
			}
		}
		if rec != nil && look != nil && !rec.hasLook(look.Attempt) {
			rec.Attempts = append(rec.Attempts, addAttempt(t, rec.ID, look.Attempt, look.exchanges))
		}
		insertAsks(t, rest, f.Entry)
		if rec != nil && rec.told == toldCancelled|toldNot && end.told != 0 {
			t.Exec(recountTold, f.Entry)
		}
		return nil
	}, nil)
	if err != nil {
		return bridge.Entry{}, fmt.Errorf("writing down an outcome of entry %d: %w", f.Entry, err)
	}
	if f.Release {
		j.leases.drop(rec.Key, rec.Taxpayer)
	} else {
		j.leases.remember(rec)
	}
	return rec.clone(), nil
}

// ending is a Finish on its way to the disk.
type ending struct {
	bridge.Finish
	told      int64 // what its callers are told
	result    string
	exchanges any // both encoded
}

// first writes the one row that a call on the straight way ends with, and gives back the asks that are not in it. The result
// is nil when somebody has written before how the entry stands, or what its first caller was told.
func (end *ending) first(t *tx, r *entryRow, held bool, asks []askRow) (*entryRow, []askRow) {
	rec, result := r.copy(), ended{class: bridge.None.String(), outcome: "{}"}
	if end.Attempt == firstSend(r.ID) {
		rec.complete(&end.Finish)
		result = ended{micros(end.At), end.Result.Class.String(), end.result}
	}
	merge(&rec.Entry, &end.Finish, held)
	rec.told, rec.version = end.told, 1
	class, outcome := rec.Outcome.Class.String(), encodeOutcome(&rec.Outcome)
	args := []any{r.ID, string(rec.State), class, outcome, micros(rec.Updated), micros(rec.NextLookup), rec.told, r.Upstream}
	if result.at > 0 && result.class == class && result.outcome == outcome {
		args = append(args, result.at, nil, nil)
	} else {
		args = append(args, result.at, result.class, result.outcome)
	}
	rest := asks
	if len(asks) > 0 && (asks[0].Entry == 0 || asks[0].Entry == r.ID) {
		a := asks[0]
		rest = asks[1:]
		args = append(args, a.Ref, other(a.Caller, r.Caller), other(a.IRN, r.IRN), other(a.Reason, string(r.Reason)), other(a.Remarks, r.Remarks), micros(a.Received), a.Told.Class.String(), a.told,
			micros(a.ToldAt), string(a.How), end.exchanges, a.SOAPIn, a.SOAPOut, a.Ref)
	} else {
		args = append(args, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, end.exchanges, nil, nil, nil)
	}
	if t.Exec(insertEnd, args...) == 1 {
		return rec, rest
	}
	return nil, asks
}

// other is NULL for what the entry says already.
func other(s, entrys string) any {
	if s == entrys {
		return nil
	}
	return s
}

// ended is how a send ended, encoded.
type ended struct {
	at             int64
	class, outcome string
}

// later writes down what became of an entry that has stood in some way before.
func (end *ending) later(t *tx, r *entryRow, held bool) (*entryRow, error) {
	if r.version == 0 {
		if r = lockEntry(t, r.ID); r == nil {
			return nil, bridge.ErrNoEntry
		}
	}
	result := []any{r.ID, micros(end.At), end.Result.Class.String(), end.result, end.exchanges}
	completed := false
	switch {
	case end.Attempt == firstSend(r.ID):
		completed = t.Exec(completeFirst, result...) == 1
	case end.Attempt != 0:
		completed = t.Exec(completeAttempt, slices.Insert(result, 1, any(end.Attempt))...) == 1
	}
	return change(t, r.ID, r, func(r *entryRow) error {
		if completed {
			r.complete(&end.Finish)
		}
		merge(&r.Entry, &end.Finish, held)
		r.told |= end.told
		return nil
	})
}

// stillHeld tells whether the entry's lease is ours, and gives it back in the same commit if release is set.
func (j *Journal) stillHeld(t *tx, r *entryRow, release bool) bool {
	switch {
	case j.shared == nil:
		return j.leases.held(r.Key, r.Taxpayer)
	case release:
		return j.shared.drop(t, r.Key, r.Taxpayer)
	}
	_, ok := j.keep(t, r.Key, r.Taxpayer)
	return ok
}

// lookRow is one that was not written down before it ended.
type lookRow struct {
	bridge.Attempt
	exchanges any // encoded
}

// lookRow is a lookup as it is kept; nil for none.
func (j *Journal) lookRow(look *bridge.Attempt) *lookRow {
	if look == nil {
		return nil
	}
	a := &lookRow{*look, encodeExchanges(&look.Outcome)}
	a.By, a.Start, a.End, a.Outcome.Exchanges = j.instance, at(micros(a.Start)), at(micros(a.End)), nil
	return a
}

// hasLook tells whether a lookup is on record already: a Finish whose caller did not hear of it comes again.
func (r *entryRow) hasLook(look bridge.Attempt) bool {
	return slices.ContainsFunc(r.Attempts, func(a bridge.Attempt) bool {
		return a.Kind == look.Kind && a.By == look.By && a.Start.Equal(look.Start)
	})
}

// complete ends an attempt in our copy of the entry.
func (r *entryRow) complete(f *bridge.Finish) {
	for i := range r.Attempts {
		if r.Attempts[i].ID == f.Attempt {
			r.Attempts[i].End, r.Attempts[i].Outcome = f.At, f.Result
		}
	}
}

// merge is what evidence does to an entry:
//
//   - Cancelled is the truth for good, and comes through whoever brings it and whenever;
//   - whoever has lost the document's lease can add nothing else;
//   - an ended entry stays ended: only Attempt and Requeue take it up again;
//   - what is no end (Unknown, Unclear, …) leaves it in doubt, whatever f calls it;
//   - otherwise the flight that holds the lease says where the entry stands.
func merge(e *bridge.Entry, f *bridge.Finish, held bool) {
	state := f.State
	if state == bridge.Final && !canEnd(f.Outcome.Class) {
		state = bridge.Open
	}
	cancelled := state == bridge.Final && f.Outcome.Class == bridge.Cancelled
	switch {
	case e.Outcome.Class == bridge.Cancelled,
		!held && !cancelled,
		e.State == bridge.Final && state != bridge.Final:
		return
	}
	e.State, e.Updated, e.NextLookup = state, f.At, time.Time{}
	switch state {
	case bridge.Final:
		e.Outcome = f.Outcome
	case bridge.Open:
		e.NextLookup = at(micros(f.NextLookup))
		if e.Outcome = f.Outcome; e.Outcome.Class != bridge.Unknown {
			e.Outcome = bridge.Outcome{Class: bridge.Unknown}
		}
	default:
		e.Outcome = bridge.Outcome{}
	}
}

// canEnd tells whether an entry can end as c.
func canEnd(c bridge.Class) bool {
	switch c {
	case bridge.Cancelled, bridge.Refused, bridge.NotApplied, bridge.Misconfigured:
		return true
	}
	return false
}

// What callers were told, as bits of the column told.
const (
	toldCancelled = 1
	toldNot       = 2 // refused, or not applied
)

// toldMask is what these callers were told of the document. Faults say nothing of it that could turn out wrong.
func toldMask(asks []bridge.Ask) (mask int64) {
	for _, a := range asks {
		switch {
		case a.How == bridge.FromCheck: // about the request, not about the document
		case a.Told.Class == bridge.Cancelled:
			mask |= toldCancelled
		case a.Told.Class == bridge.Refused, a.Told.Class == bridge.NotApplied:
			mask |= toldNot
		}
	}
	return mask
}

// Tell records what callers were told apart from a Finish.
func (j *Journal) Tell(ctx context.Context, asks ...bridge.Ask) error {
	if len(asks) == 0 {
		return nil
	}
	rows := encodeAsks(asks)
	err := j.write(ctx, asks[0].Key.Document, func(t *tx) error {
		insertAsks(t, rows, 0)
		for i, a := range asks {
			mask := toldMask(asks[i : i+1])
			if a.Entry != 0 && mask != 0 && t.Exec(addTold, a.Entry, string(bridge.Sending), mask) == 1 {
				t.Exec(recountTold, a.Entry)
			}
		}
		return nil
	}, nil)
	if err != nil {
		return fmt.Errorf("writing down what callers were told: %w", err)
	}
	return nil
}

// askRow is an ask ready for its columns, encoded before the writer's turn.
type askRow struct {
	bridge.Ask
	told string
}

// encodeAsks also cuts what a caller may have made very long; the envelope itself is kept whole.
func encodeAsks(asks []bridge.Ask) []askRow {
	rows := make([]askRow, len(asks))
	for i := range rows {
		a := &rows[i]
		a.Ask = asks[i]
		a.Key.Document, a.IRN = clip(a.Key.Document, 300), clip(a.IRN, 1000)
		a.Reason, a.Remarks, a.Taxpayer = clip(a.Reason, 100), clip(a.Remarks, 1000), clip(a.Taxpayer, 100)
		a.told = encodeAnswer(&a.Ask)
	}
	return rows
}

// insertAsks appends rows. One without an entry is put to entry, or else to the one that its document has, so that
// whoever looks at the document sees all of its calls. Only what has no entry at all keeps the document itself: two
// calls fit a page of the file then instead of one.
func insertAsks(t *tx, rows []askRow, entry int64) {
	for _, a := range rows {
		if a.Entry == 0 {
			a.Entry = entry
		}
		if a.Entry == 0 && a.Key.Document != "" {
			t.One([]any{&a.Entry}, entryOf, a.Key.Document, a.Key.Space, a.Taxpayer)
		}
		if a.Entry != 0 {
			a.Key, a.Taxpayer = bridge.Key{}, ""
		}
		class, toldAt, how := a.Told.Class.String(), micros(a.ToldAt), string(a.How)
		if t.Exec(insertAsk, a.Entry, a.Ref, a.Caller, a.Taxpayer, a.Key.Space, a.Key.Document, a.IRN, a.Reason, a.Remarks,
			micros(a.Received), class, a.told, toldAt, how, a.SOAPIn, a.SOAPOut) == 0 {
			t.Exec(updateFirstAsk, a.Ref, class, a.told, toldAt, how, a.SOAPOut)
		}
	}
}
