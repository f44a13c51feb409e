package journal

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"

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
func load(q querier, query string, args ...any) *entryRow {
	var rec *entryRow
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

// reading reads what is committed, without the writer. It ends with its context, whatever the disk does. Its first
// failure sticks.
type reading struct {
	j     *Journal
	ctx   context.Context
	once  bool // the text is made for this read: not worth keeping prepared
	point bool // it is a row or two
	err   error
}

// point is a reading of a row or two.
func (j *Journal) point(ctx context.Context) *reading { return &reading{j: j, ctx: ctx, point: true} }

// query reads in a goroutine that is left alone when the context ends first: neither a locked file nor a frozen disk
// can be interrupted.
func (r *reading) query(each eachFunc, query string, args ...any) {
	if r.err == nil {
		r.err = r.j.explain(r.j.place.StillServed())
	}
	if r.err != nil {
		return
	}
	var (
		mu   sync.Mutex
		left bool
	)
	err := r.j.readers.within(r.ctx, func() error {
		return r.fetch(func(scan func(...any) error) error {
			mu.Lock()
			defer mu.Unlock()
			if left {
				return context.Canceled
			}
			return each(scan)
		}, query, args...)
	})
	mu.Lock()
	defer mu.Unlock()
	left, r.err = true, err
}

// fetch lets the driver watch the context only where the work is worth stopping: with SQLite, watching costs four times
// what a point read does.
func (r *reading) fetch(each eachFunc, query string, args ...any) error {
	ctx := r.ctx
	if r.point && r.j.shared == nil {
		ctx = context.WithoutCancel(ctx)
	}
	if r.once {
		rows, err := r.j.read.QueryContext(ctx, query, args...)
		return eachRow(rows, err, each)
	}
	s, err := r.j.prepared(ctx, query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, args...)
	return eachRow(rows, err, each)
}

// ids reads the first column.
func (r *reading) ids(query string, args ...any) (ids []int64) {
	r.query(func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	return ids
}

// readers are goroutines that wait for the disk on behalf of those who may leave before it answers. Some stay when they
// are idle: a new one has a small stack, and growing it to what SQLite needs costs half as much as a point read.
type readers struct {
	next chan func() // unbuffered: only one who waits takes it
	idle atomic.Int32
	quit chan struct{}
}

const idleReaders = 8

// within runs f until it ends or ctx does.
func (rs *readers) within(ctx context.Context, f func() error) error {
	if ctx.Done() == nil {
		return f()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	read := func() { ended <- f() }
	select {
	case rs.next <- read:
	default:
		go rs.run(read)
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (rs *readers) run(read func()) {
	for {
		read()
		if rs.idle.Add(1) > idleReaders {
			rs.idle.Add(-1)
			return
		}
		select {
		case read = <-rs.next:
			rs.idle.Add(-1)
		case <-rs.quit:
			return
		}
	}
}

// now is the time that all who write to the database agree on, in microseconds.
func (r *reading) now() (us int64) {
	if r.j.shared == nil {
		return r.j.now().UnixMicro()
	}
	r.query(func(scan func(...any) error) error { return scan(&us) }, `SELECT `+clock)
	return us
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
