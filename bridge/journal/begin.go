package journal

import (
	"context"
	"fmt"
	"time"

	"einvoice-bridge/bridge"
)

const (
	// The first send may be in the same row.
	insertEntry = `INSERT INTO entries (space, document, taxpayer, upstream, ref, caller, irn, reason, remarks, created, expires,
		started, who) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (document, space, taxpayer) DO NOTHING`
	startAttempt = `INSERT INTO attempts (entry, kind, started, ended, who, upstream, class, outcome)
		VALUES ($1, 'cancel', $2, 0, $3, $4, 'none', '{}')`
	insertAttempt = `INSERT INTO attempts (entry, kind, started, ended, who, upstream, class, outcome, exchanges)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
)

// Begin writes the entry down and takes the document's lease. An entry that is found Sending although nobody has its
// lease was left behind by a crash: it comes back Open with a lookup due.
func (j *Journal) Begin(ctx context.Context, b bridge.Begin) (bridge.Entry, bool, error) {
	fresh, ok := j.leases.take(b.Entry.Key, b.Entry.Taxpayer)
	if !ok {
		return bridge.Entry{}, false, bridge.ErrBusy
	}
	var (
		rec     *entryRow
		created bool
		until   term
	)
	undo := func(committed bool) {
		switch {
		case committed && created:
			later(func(ctx context.Context) { j.takeBack(ctx, rec.Entry) })
		case fresh:
			j.letGo(b.Entry.Key, b.Entry.Taxpayer, committed)
		}
	}
	err := j.write(ctx, b.Entry.Key.Document, func(t *tx) error {
		rec, created = nil, false
		if until, ok = j.take(t, b.Entry.Key, b.Entry.Taxpayer, fresh); !ok {
			return bridge.ErrBusy
		}
		if rec, created = j.begin(t, b); rec != nil && !created && fresh {
			j.orphan(t, rec, j.now())
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
func (j *Journal) begin(t *tx, b bridge.Begin) (rec *entryRow, created bool) {
	e := b.Entry
	e.State, e.Outcome, e.Attempts = bridge.Accepted, bridge.Outcome{}, nil
	var send bridge.Attempt
	e.Created, e.Expires = at(micros(e.Created)), at(micros(e.Expires))
	e.Updated = e.Created
	if b.SendNow {
		send = bridge.Attempt{Kind: bridge.SendCancel, Start: e.Created, By: j.instance, Upstream: e.Upstream}
	}
	e.ID, created = t.Insert(insertEntry, e.Key.Space, e.Key.Document, e.Taxpayer, e.Upstream, e.Ref, e.Caller,
		e.IRN, string(e.Reason), e.Remarks, micros(e.Created), micros(e.Expires), micros(send.Start), send.By)
	switch {
	case !created:
		if rec = load(t, selectDocument, e.Key.Document, e.Key.Space, e.Taxpayer); rec == nil && t.Err == nil {
			t.Err = fmt.Errorf("the entry of %s is being pruned", e.Key.Document) // by a write of the same transaction: tried again alone
		}
		return rec, false
	case b.SendNow:
		send.ID = firstSend(e.ID)
		e.State, e.Attempts = bridge.Sending, []bridge.Attempt{send}
		return &entryRow{Entry: e}, true
	}
	t.Exec(standing, e.ID, string(e.State))
	return &entryRow{Entry: e, version: 1}, true
}

// firstSend is the id of the send that begins with an entry. It has no row of its own.
func firstSend(entry int64) int64 { return -entry }

// startAttempt writes a later send down as running: without an end or a class, which is how it stays if the process dies in it.
func (j *Journal) startAttempt(t *tx, e bridge.Entry, start time.Time) bridge.Attempt {
	a := bridge.Attempt{Kind: bridge.SendCancel, Start: at(micros(start)), By: j.instance, Upstream: e.Upstream}
	a.ID, _ = t.Insert(startAttempt, e.ID, micros(start), a.By, a.Upstream)
	return a
}

// addAttempt writes one that has ended down and gives it back with its ID. exchanges are encoded.
func addAttempt(t *tx, entry int64, a bridge.Attempt, exchanges any) bridge.Attempt {
	a.ID, _ = t.Insert(insertAttempt, entry, string(a.Kind), micros(a.Start), micros(a.End), a.By, a.Upstream,
		a.Outcome.Class.String(), encodeOutcome(&a.Outcome), exchanges)
	return a
}

// takeBack ends an entry whose Begin went through after its caller had given up and was told that it had not: it must
// never be carried out. Its lease is kept until that is written.
func (j *Journal) takeBack(ctx context.Context, e bridge.Entry) {
	late := bridge.Outcome{Class: bridge.NotApplied, Message: "written down too late and not sent"}
	fin := bridge.Finish{Entry: e.ID, State: bridge.Final, At: j.now(), Release: true, Outcome: late}
	if len(e.Attempts) > 0 { // written in the same commit, and never sent
		fin.Attempt, fin.Result = e.Attempts[0].ID, late
	}
	if _, err := j.Finish(ctx, &fin); err != nil {
		j.leases.drop(e.Key, e.Taxpayer)
	}
}
