package journal

import (
	"context"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal/engine"
)

const (
	selectEntry    = `SELECT ` + entryColumns + ` FROM ` + allEntries + ` WHERE e.id = $1`
	selectDocument = `SELECT ` + entryColumns + ` FROM ` + allEntries + ` WHERE e.document = $1 AND e.space = $2 AND e.taxpayer = $3`
	selectAttempts = `SELECT ` + attemptColumns + ` FROM attempts WHERE entry = $1 ORDER BY id` // the first may be with its entry
)

// Find reads the entry of a taxpayer's document, or ErrNoEntry.
func (j *Journal) Find(ctx context.Context, k bridge.Key, taxpayer string) (bridge.Entry, error) {
	r := j.read.Point(ctx)
	rec := load(r, selectDocument, k.Document, k.Space, taxpayer)
	switch {
	case r.Err != nil:
		return bridge.Entry{}, j.explain(r.Err)
	case rec == nil:
		return bridge.Entry{}, bridge.ErrNoEntry
	}
	return rec.Entry, nil
}

// load reads an entry with its attempts; nil when there is none or the querier failed.
func load(q querier, query string, args ...any) *entryRow {
	var rec *entryRow
	q.Query(func(scan func(...any) error) (err error) {
		rec, err = scanEntry(scan)
		return err
	}, query, args...)
	if rec == nil {
		return nil
	}
	q.Query(func(scan func(...any) error) error {
		a, err := scanAttempt(scan)
		rec.Attempts = append(rec.Attempts, a)
		return err
	}, selectAttempts, rec.ID)
	return rec
}

// querier is a transaction or a look from outside of one.
type querier interface {
	Query(each engine.Each, query string, args ...any)
}
