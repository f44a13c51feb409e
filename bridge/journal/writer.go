package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
)

// maxBatch bounds one transaction, so that the first in it doesn't wait long for the last.
const maxBatch = 256

// errClosed answers writes after Close.
var errClosed = errors.New("journal is closed")

// writer is one goroutine with one connection. It commits whatever came in while the last commit was on its way to
// the disk as one transaction, so that concurrent writes share an fsync and nobody waits for a timer.
type writer struct {
	db      *sql.DB
	begin   string
	shared  bool          // PostgreSQL, where others write too
	timeout time.Duration // of one transaction; 0 for none
	batch   int           // most writes in one transaction
	explain func(error) error

	queue chan *op
	quit  chan struct{} // closed by stop
	done  chan struct{} // closed when the goroutine has ended

	conn  *sql.Conn
	stmts map[string]*sql.Stmt

	commits, writes atomic.Int64
	busy            atomic.Int64 // nanoseconds spent in commits
}

// An op goes from waiting to running to ended; its submitter may abandon it on the way.
const (
	opWaiting int32 = iota
	opRunning
	opEnded
	opAbandoned
)

// op is one write. run may be called several times, each time on a fresh transaction, and must set its results
// anew; it returns an error of its own only when it has written nothing.
type op struct {
	run   func(*tx) error
	undo  func(committed bool) // called once when the submitter has not heard of success; may be nil
	state atomic.Int32
	err   error
	done  chan struct{}
}

func (w *writer) start() *writer {
	w.queue, w.quit, w.done = make(chan *op, 4*maxBatch), make(chan struct{}), make(chan struct{})
	go w.loop()
	return w
}

// write carries out run durably. When it returns an error, nothing was written; if that is not sure, because ctx was
// over in the middle or the connection broke, undo is called with committed true, possibly later.
func (w *writer) write(ctx context.Context, run func(*tx) error, undo func(committed bool)) error {
	o := &op{run: run, undo: undo, done: make(chan struct{})}
	if err := ctx.Err(); err != nil {
		return o.abandon(w.explain(err))
	}
	select {
	case w.queue <- o:
	case <-w.quit:
		return o.abandon(errClosed)
	case <-ctx.Done():
		return o.abandon(w.explain(ctx.Err()))
	}
	select {
	case <-o.done:
		return o.err
	case <-w.done:
		return o.abandon(errClosed)
	case <-ctx.Done():
		return o.abandon(w.explain(ctx.Err()))
	}
}

// abandon leaves the write to the writer and returns err, unless it has ended just now.
func (o *op) abandon(err error) error {
	switch {
	case o.state.CompareAndSwap(opWaiting, opAbandoned):
		if o.undo != nil {
			o.undo(false)
		}
		return err
	case o.state.CompareAndSwap(opRunning, opAbandoned):
		return err
	}
	<-o.done
	return o.err
}

func (w *writer) stop() {
	close(w.quit)
	<-w.done
}

func (w *writer) loop() {
	defer close(w.done)
	defer w.drop()
	batch := make([]*op, 0, w.batch)
	for {
		select {
		case o := <-w.queue:
			batch = append(batch[:0], o)
		case <-w.quit:
			if len(w.queue) == 0 {
				return
			}
			continue
		}
		runtime.Gosched() // whoever is about to write joins this commit
		for len(batch) < w.batch && len(w.queue) > 0 {
			batch = append(batch, <-w.queue)
		}
		w.commit(batch)
	}
}

// commit ends every op of the batch. When one of them breaks the transaction, each gets one of its own.
func (w *writer) commit(batch []*op) {
	live := batch[:0]
	for _, o := range batch {
		if o.state.CompareAndSwap(opWaiting, opRunning) {
			live = append(live, o)
		}
	}
	if len(live) == 0 {
		return
	}
	retry, doubt := w.try(live)
	for _, o := range live {
		if retry {
			_, doubt = w.try([]*op{o})
		}
		o.end(doubt)
	}
}

// end wakes the submitter, or takes the write back when he has left.
func (o *op) end(doubt bool) {
	left := !o.state.CompareAndSwap(opRunning, opEnded)
	if o.undo != nil && (left || o.err != nil) {
		o.undo(o.err == nil || doubt)
	}
	close(o.done)
}

// try runs ops in one transaction and sets their errors. retry says that one of several broke it, and nothing was
// written, but the connection is good; doubt that the connection was lost during the commit, so that nobody knows.
func (w *writer) try(ops []*op) (retry, doubt bool) {
	start := time.Now()
	ctx := context.Background()
	if w.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	t := &tx{w: w, ctx: ctx}
	used := w.conn != nil
	if t.start(); t.err != nil && used && w.shared { // the connection broke while nobody used it
		w.drop()
		t.err = nil
		t.start()
	}
	for _, o := range ops {
		if t.err == nil {
			o.err = o.run(t)
		}
	}
	if t.err != nil {
		w.rollback()
		w.fail(ops, t.err)
		return len(ops) > 1 && w.conn != nil, false
	}
	if t.exec("COMMIT"); t.err != nil {
		w.rollback()
		w.fail(ops, t.err)
		return false, w.conn == nil
	}
	w.commits.Add(1)
	w.writes.Add(int64(len(ops)))
	w.busy.Add(int64(time.Since(start)))
	return false, false
}

// fail gives every op the same error, in an operator's words.
func (w *writer) fail(ops []*op, err error) {
	err = w.explain(err)
	for _, o := range ops {
		o.err = err
	}
}

// start begins the transaction, on a new connection if there is none.
func (t *tx) start() {
	if t.w.conn == nil {
		t.w.stmts = map[string]*sql.Stmt{}
		t.w.conn, t.err = t.w.db.Conn(t.ctx)
	}
	t.exec(t.w.begin)
}

// rollback leaves the connection clean, or gives it up.
func (w *writer) rollback() {
	if w.conn == nil {
		return
	}
	t := &tx{w: w, ctx: context.Background()}
	var ours *sqlite.Error // SQLite has rolled back by itself already; the connection is fine
	if t.exec("ROLLBACK"); t.err != nil && !errors.As(t.err, &ours) {
		w.drop()
	}
}

func (w *writer) drop() {
	if w.conn == nil {
		return
	}
	for _, s := range w.stmts {
		_ = s.Close()
	}
	_ = w.conn.Close()
	w.conn, w.stmts = nil, nil
}

// tx is a transaction under way. Its first failure sticks: what follows does nothing.
type tx struct {
	w   *writer
	ctx context.Context
	err error
}

// now is the time that all who write to the database agree on, in microseconds.
func (t *tx) now() (us int64) {
	if !t.w.shared {
		return time.Now().UnixMicro()
	}
	t.one([]any{&us}, `SELECT `+clock)
	return us
}

func (t *tx) stmt(query string) *sql.Stmt {
	if t.err != nil {
		return nil
	}
	s, ok := t.w.stmts[query]
	if !ok {
		if s, t.err = t.w.conn.PrepareContext(t.ctx, query); t.err != nil {
			return nil
		}
		t.w.stmts[query] = s
	}
	return s
}

// exec returns the number of rows that changed.
func (t *tx) exec(query string, args ...any) int64 {
	s := t.stmt(query)
	if s == nil {
		return 0
	}
	r, err := s.ExecContext(t.ctx, args...)
	if err != nil {
		t.err = err
		return 0
	}
	n, _ := r.RowsAffected()
	return n
}

// insert returns the new row's id; ok is false when the row was there already.
func (t *tx) insert(query string, args ...any) (id int64, ok bool) {
	if t.w.shared {
		ok = t.one([]any{&id}, query+" RETURNING id", args...)
		return id, ok
	}
	s := t.stmt(query)
	if s == nil {
		return 0, false
	}
	r, err := s.ExecContext(t.ctx, args...)
	if err != nil {
		t.err = err
		return 0, false
	}
	id, _ = r.LastInsertId()
	n, _ := r.RowsAffected()
	return id, n == 1
}

// one scans the only row; false when there is none.
func (t *tx) one(dest []any, query string, args ...any) bool {
	s := t.stmt(query)
	if s == nil {
		return false
	}
	err := s.QueryRowContext(t.ctx, args...).Scan(dest...)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.err = err
	}
	return err == nil
}

// query calls each for every row.
func (t *tx) query(each func(scan func(...any) error) error, query string, args ...any) {
	s := t.stmt(query)
	if s == nil {
		return
	}
	rows, err := s.QueryContext(t.ctx, args...)
	t.err = eachRow(rows, err, each)
}

func eachRow(rows *sql.Rows, err error, each func(scan func(...any) error) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return fmt.Errorf("reading a row: %w", err)
		}
	}
	return rows.Err()
}
