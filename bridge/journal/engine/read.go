package engine

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge/journal/postgres"
)

// Reader reads what is committed, without the writer.
type Reader struct {
	DB *sql.DB

	allowed func() error     // asked before each read
	clock   func() time.Time // this process's; nil where others write too, who go by PostgreSQL's

	mu    sync.RWMutex
	stmts map[string]*sql.Stmt // the prepared reads, by their text; they live as long as DB

	next chan func() // to goroutines that read; unbuffered: only one who waits takes it
	idle atomic.Int32
	quit chan struct{}
}

// NewFileReader reads an SQLite file while allowed says nothing against it.
func NewFileReader(db *sql.DB, allowed func() error, clock func() time.Time) *Reader {
	return &Reader{DB: db, allowed: allowed, clock: clock, next: make(chan func()), quit: make(chan struct{})}
}

// NewServerReader reads from PostgreSQL.
func NewServerReader(db *sql.DB) *Reader { return NewFileReader(db, func() error { return nil }, nil) }

// Close closes DB, too.
func (r *Reader) Close() error {
	close(r.quit)
	return r.DB.Close()
}

// Whole is a reading that may take a while.
func (r *Reader) Whole(ctx context.Context) *Reading { return &Reading{from: r, ctx: ctx} }

// Once is a reading whose text is made for it: not worth keeping prepared.
func (r *Reader) Once(ctx context.Context) *Reading { return &Reading{from: r, ctx: ctx, once: true} }

// Point is a reading of a row or two.
func (r *Reader) Point(ctx context.Context) *Reading { return &Reading{from: r, ctx: ctx, point: true} }

// Reading is some questions of one who asks. It ends with its context, whatever the disk does. Its first failure sticks.
type Reading struct {
	from        *Reader
	ctx         context.Context
	once, point bool
	Err         error
}

// Query calls each for every row. It reads in a goroutine that is left alone when the context ends first: neither a locked
// file nor a frozen disk can be interrupted.
func (r *Reading) Query(each Each, query string, args ...any) {
	if r.Err == nil {
		r.Err = r.from.allowed()
	}
	if r.Err != nil {
		return
	}
	var (
		mu   sync.Mutex
		left bool
	)
	err := r.from.Within(r.ctx, func() error {
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
	left, r.Err = true, err
}

// fetch lets the driver watch the context only where the work is worth stopping: with SQLite, watching costs four times
// what a point read does.
func (r *Reading) fetch(each Each, query string, args ...any) error {
	ctx := r.ctx
	if r.point && r.from.clock != nil {
		ctx = context.WithoutCancel(ctx)
	}
	if r.once {
		rows, err := r.from.DB.QueryContext(ctx, query, args...)
		return eachRow(rows, err, each)
	}
	s, err := r.from.prepared(ctx, query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, args...)
	return eachRow(rows, err, each)
}

// IDs reads the first column.
func (r *Reading) IDs(query string, args ...any) (ids []int64) {
	r.Query(func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	return ids
}

// Now is the time that all who write to the database agree on, in microseconds.
func (r *Reading) Now() (us int64) {
	if r.from.clock != nil {
		return r.from.clock().UnixMicro()
	}
	r.Query(func(scan func(...any) error) error { return scan(&us) }, `SELECT `+postgres.Clock)
	return us
}

// idleReaders stay when they have read: a new goroutine has a small stack, and growing it to what SQLite needs costs half as
// much as a point read.
const idleReaders = 8

// Within runs f until it ends or ctx does: a goroutine waits for the disk on behalf of one who may leave before it answers.
func (r *Reader) Within(ctx context.Context, f func() error) error {
	if ctx.Done() == nil {
		return f()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	read := func() { ended <- f() }
	select {
	case r.next <- read:
	default:
		go r.run(read)
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Reader) run(read func()) {
	for {
		read()
		if r.idle.Add(1) > idleReaders {
			r.idle.Add(-1)
			return
		}
		select {
		case read = <-r.next:
			r.idle.Add(-1)
		case <-r.quit:
			return
		}
	}
}

// prepared parses a read once per connection: parsing costs more than a point read.
func (r *Reader) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	r.mu.RLock()
	s, ok := r.stmts[query]
	r.mu.RUnlock()
	if ok {
		return s, nil
	}
	s, err := r.DB.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if first, ok := r.stmts[query]; ok {
		_ = s.Close()
		return first, nil
	}
	if r.stmts == nil {
		r.stmts = map[string]*sql.Stmt{}
	}
	r.stmts[query] = s
	return s, nil
}
