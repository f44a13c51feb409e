package journal

import (
	"context"
	"database/sql"
	"sync"

	"einvoice-bridge/bridge"
)

const (
	selectEntry    = `SELECT ` + entryColumns + ` FROM entries WHERE id = $1`
	selectDocument = `SELECT ` + entryColumns + ` FROM entries WHERE document = $1 AND space = $2 AND taxpayer = $3`
	selectAttempts = `SELECT ` + attemptColumns + ` FROM attempts WHERE entry = $1 ORDER BY id`
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

// querier is a transaction or a look from outside of one.
type querier interface {
	query(each func(scan func(...any) error) error, query string, args ...any)
}

// reading reads what is committed, without the writer. Its first failure sticks.
type reading struct {
	j    *Journal
	ctx  context.Context
	once bool // the text is made for this read: not worth keeping prepared
	err  error
}

// point is a reading of a row or two. With SQLite it isn't interrupted by its context: watching that costs four times
// what the read does.
func (j *Journal) point(ctx context.Context) *reading {
	if j.shared == nil {
		ctx = context.WithoutCancel(ctx)
	}
	return &reading{j: j, ctx: ctx}
}

func (r *reading) query(each func(scan func(...any) error) error, query string, args ...any) {
	if r.err != nil {
		return
	}
	if r.once {
		rows, err := r.j.read.QueryContext(r.ctx, query, args...)
		r.err = eachRow(rows, err, each)
		return
	}
	s, err := r.j.prepared(r.ctx, query)
	if err != nil {
		r.err = err
		return
	}
	rows, err := s.QueryContext(r.ctx, args...)
	r.err = eachRow(rows, err, each)
}

// statements are the prepared reads, by their text. They live as long as the handle.
type statements struct {
	mu sync.RWMutex
	by map[string]*sql.Stmt
}

// prepared parses a read once per connection: parsing costs more than a point read.
func (j *Journal) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	j.reads.mu.RLock()
	s, ok := j.reads.by[query]
	j.reads.mu.RUnlock()
	if ok {
		return s, nil
	}
	s, err := j.read.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	j.reads.mu.Lock()
	defer j.reads.mu.Unlock()
	if first, ok := j.reads.by[query]; ok {
		_ = s.Close()
		return first, nil
	}
	if j.reads.by == nil {
		j.reads.by = map[string]*sql.Stmt{}
	}
	j.reads.by[query] = s
	return s, nil
}
