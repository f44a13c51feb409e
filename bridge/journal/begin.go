package journal

import (
	"context"
	"fmt"
	"time"

	"einvoice-bridge/bridge"
)

const (
	selectEntry    = `SELECT ` + entryColumns + ` FROM entries WHERE id = $1`
	selectDocument = `SELECT ` + entryColumns + ` FROM entries WHERE document = $1 AND space = $2 AND taxpayer = $3`
	selectAttempts = `SELECT ` + attemptColumns + ` FROM attempts WHERE entry = $1 ORDER BY id`

	insertEntry = `INSERT INTO entries (space, document, taxpayer, upstream, ref, caller, irn, reason, remarks,
		state, class, outcome, created, updated, expires, next_lookup, told, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'none', '{}', $11, $11, $12, 0, 0, 1)
		ON CONFLICT (document, space, taxpayer) DO NOTHING`
	insertAttempt = `INSERT INTO attempts (entry, kind, started, ended, who, upstream, class, outcome)
		VALUES ($1, $2, $3, 0, $4, $5, 'none', '{}')`
	updateRequest = `UPDATE entries SET upstream = $3, ref = $4, caller = $5, irn = $6, reason = $7, remarks = $8,
		state = $9, class = $10, outcome = $11, updated = $12, next_lookup = $13, version = version + 1
		WHERE id = $1 AND version = $2`
	updateOutcome = `UPDATE entries SET state = $3, class = $4, outcome = $5, updated = $6, next_lookup = $7,
		told = $8, version = version + 1 WHERE id = $1 AND version = $2`
)

// Find reads the entry of a taxpayer's document, or ErrNoEntry.
func (j *Journal) Find(ctx context.Context, k bridge.Key, taxpayer string) (bridge.Entry, error) {
	r := j.point(ctx)
	rec := load(r, selectDocument, k.Document, k.Space, taxpayer)
	switch {
	case r.err != nil:
		return bridge.Entry{}, j.explain(r.err)
	case rec == nil:
		return bridge.Entry{}, bridge.ErrNoEntry
	}
	return rec.Entry, nil
}

// load reads an entry with its attempts; nil when there is none or the querier failed.
func load(q querier, query string, args ...any) *record {
	var rec *record
	q.query(func(scan func(...any) error) (err error) {
		rec, err = scanEntry(scan)
		return err
	}, query, args...)
	if rec == nil {
		return nil
	}
	q.query(func(scan func(...any) error) error {
		a, err := scanAttempt(scan)
		rec.Attempts = append(rec.Attempts, a)
		return err
	}, selectAttempts, rec.ID)
	return rec
}

// Begin writes the entry down and takes the document's lease. An entry that is found Sending although nobody has its
// lease was left behind by a crash: it comes back Open with a lookup due.
func (j *Journal) Begin(ctx context.Context, b bridge.Begin) (bridge.Entry, bool, error) {
	fresh, ok := j.leases.take(b.Entry.Key, b.Entry.Taxpayer)
	if !ok {
		return bridge.Entry{}, false, bridge.ErrBusy
	}
	var (
		rec     *record
		created bool
		until   time.Time
	)
	undo := func(committed bool) {
		switch {
		case committed && created:
			go j.takeBack(rec.Entry) // the writer, who calls this, must not wait for itself
		case fresh:
			j.leases.drop(b.Entry.Key, b.Entry.Taxpayer)
		}
	}
	err := j.write(ctx, b.Entry.Key.Document, func(t *tx) error {
		rec, created = nil, false
		if until, ok = j.shared.take(t, b.Entry.Key, b.Entry.Taxpayer); !ok {
			return bridge.ErrBusy
		}
		if rec, created = j.begin(t, b); rec != nil && !created && fresh {
			j.orphan(t, rec, time.Now())
		}
		return nil
	}, undo)
	if err != nil {
		return bridge.Entry{}, false, fmt.Errorf("writing down %s of %s: %w", b.Entry.Key.Document, b.Entry.Taxpayer, err)
	}
	j.leases.hold(rec.Key, rec.Taxpayer, until)
	j.leases.remember(rec)
	return rec.clone(), created, nil
}

// begin inserts the entry, and its first send if that may leave at once, or reads the one that is there.
func (j *Journal) begin(t *tx, b bridge.Begin) (rec *record, created bool) {
	e := b.Entry
	e.State, e.Outcome, e.Attempts = bridge.Accepted, bridge.Outcome{}, nil
	if b.SendNow {
		e.State = bridge.Sending
	}
	e.Created, e.Expires = at(micros(e.Created)), at(micros(e.Expires))
	e.Updated = e.Created
	e.ID, created = t.insert(insertEntry, e.Key.Space, e.Key.Document, e.Taxpayer, e.Upstream, e.Ref, e.Caller,
		e.IRN, string(e.Reason), e.Remarks, string(e.State), micros(e.Created), micros(e.Expires))
	if !created {
		return load(t, selectDocument, e.Key.Document, e.Key.Space, e.Taxpayer), false
	}
	if b.SendNow {
		e.Attempts = []bridge.Attempt{j.insertAttempt(t, e, bridge.SendCancel, e.Created)}
	}
	return &record{Entry: e, version: 1}, true
}

func (j *Journal) insertAttempt(t *tx, e bridge.Entry, kind bridge.AttemptKind, start time.Time) bridge.Attempt {
	a := bridge.Attempt{Kind: kind, Start: at(micros(start)), By: j.instance, Upstream: e.Upstream}
	a.ID, _ = t.insert(insertAttempt, e.ID, string(kind), micros(start), a.By, a.Upstream)
	return a
}

// takeBack ends an entry whose Begin went through after its caller had given up and was told that it had not: it must
// never be carried out. Its lease is kept until that is written.
func (j *Journal) takeBack(e bridge.Entry) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := j.Finish(ctx, bridge.Finish{
		Entry: e.ID, State: bridge.Final, At: time.Now(), Release: true,
		Outcome: bridge.Outcome{Class: bridge.NotApplied, Message: "written down too late and not sent"},
	})
	if err != nil {
		j.leases.drop(e.Key, e.Taxpayer)
	}
}

// Attempt makes a send or lookup durable and puts the entry's request up to date. e is the entry as the journal gave
// it last: a send of one that has ended since (withdrawn, settled by hand) is ErrNotWaiting.
func (j *Journal) Attempt(ctx context.Context, e bridge.Entry, kind bridge.AttemptKind, start time.Time) (bridge.Attempt, error) {
	send := kind == bridge.SendCancel
	if send && !j.leases.valid(e.Key, e.Taxpayer) {
		return bridge.Attempt{}, bridge.ErrLostLease
	}
	var (
		rec   *record
		a     bridge.Attempt
		until time.Time
	)
	known := j.leases.recall(e.ID)
	err := j.write(ctx, e.Key.Document, func(t *tx) (err error) {
		if send {
			var ok bool
			if until, ok = j.shared.keep(t, e.Key, e.Taxpayer); !ok {
				return bridge.ErrLostLease
			}
		}
		rec, err = change(t, e.ID, known, updateRequest, func(r *record) error { return request(&r.Entry, e, send, start) })
		if rec != nil {
			a = j.insertAttempt(t, rec.Entry, kind, start)
			rec.Attempts = append(rec.Attempts, a)
		}
		return err
	}, nil)
	if err != nil {
		return bridge.Attempt{}, fmt.Errorf("writing down an attempt for %s of %s: %w", e.Key.Document, e.Taxpayer, err)
	}
	if send {
		j.leases.hold(e.Key, e.Taxpayer, until)
	}
	j.leases.remember(rec)
	return a, nil
}

// request puts the request of e into the entry on record, and a send takes it to Sending.
func request(r *bridge.Entry, e bridge.Entry, send bool, start time.Time) error {
	if send && r.State == bridge.Final && (e.State != bridge.Final || r.Outcome.Class == bridge.Cancelled) {
		return bridge.ErrNotWaiting
	}
	r.Upstream, r.Ref, r.Caller, r.IRN = e.Upstream, e.Ref, e.Caller, e.IRN
	r.Reason, r.Remarks, r.Updated = e.Reason, e.Remarks, at(micros(start))
	if send {
		r.State, r.Outcome, r.NextLookup = bridge.Sending, bridge.Outcome{}, time.Time{}
	}
	return nil
}

// change applies decide to the entry and writes it with query, which is updateRequest or updateOutcome. known may be
// out of date: the version tells, and then the row is read first. The result is nil only when t failed.
func change(t *tx, id int64, known *record, query string, decide func(*record) error) (*record, error) {
	for range 2 {
		r := known
		if r == nil {
			if r = t.lock(id); r == nil {
				return nil, bridge.ErrNoEntry
			}
		}
		c := *r
		c.Attempts = append(make([]bridge.Attempt, 0, len(r.Attempts)+1), r.Attempts...)
		if err := decide(&c); err != nil {
			return nil, err
		}
		if t.update(query, &c) || t.err != nil {
			return &c, nil
		}
		known = nil
	}
	t.err = fmt.Errorf("entry %d changed although it was locked", id)
	return nil, nil
}

// lock reads an entry and keeps others from changing it; nil when there is none or t failed.
func (t *tx) lock(id int64) *record {
	if t.w.shared {
		return load(t, selectEntry+" FOR UPDATE", id)
	}
	return load(t, selectEntry, id)
}

// update writes the record if its version still stands.
func (t *tx) update(query string, r *record) bool {
	args := []any{r.ID, r.version}
	if query == updateRequest {
		args = append(args, r.Upstream, r.Ref, r.Caller, r.IRN, string(r.Reason), r.Remarks)
	}
	args = append(args, string(r.State), r.Outcome.Class.String(), encodeOutcome(r.Outcome), micros(r.Updated),
		micros(r.NextLookup))
	if query == updateOutcome {
		args = append(args, r.told)
	}
	r.version++
	return t.exec(query, args...) == 1
}
