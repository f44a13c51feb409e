// Package engine is what makes writes durable and lets reads run beside them, whatever they are about. A [Writer] turns the
// writes of many goroutines into transactions that share an fsync: to an SQLite file ([NewFileWriter]; tx.go has its
// connection, and checkpoint.go copies its log back) or to PostgreSQL ([NewServerWriter]; pipeline.go has its connection). A
// write is a function that gets a [Tx]. A [Reader] reads what is committed. The statements are the journal's; of what is in a
// row nothing is known here.
//
// What it promises: a write that returned without an error is on disk; one that returned an error is not, or is undone by
// the function that came with it; and everybody who waits is let go when his context ends.
package engine

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge/journal/place"
	"einvoice-bridge/bridge/journal/postgres"
)

// MaxBatch bounds one transaction, so that the first in it doesn't wait long for the last.
const MaxBatch = 256

// errClosed answers writes after Close.
var errClosed = errors.New("journal is closed")

// Writer is one goroutine with one connection. It commits whatever came in while the last commit was on its way to
// the disk as one transaction, so that concurrent writes share an fsync and nobody waits for a timer.
type Writer struct {
	db      transactor
	batch   int // most writes in one transaction
	explain func(error) error
	after   func() error // ends what only the writer used; may be nil

	queue chan *op
	quit  chan struct{} // closed by Close
	done  chan struct{} // closed when the goroutine has ended

	commits, writes atomic.Int64
	busy            atomic.Int64 // nanoseconds spent in commits
}

// transactor is a connection to one engine: file or pipeline.
type transactor interface {
	// transact runs ops in one transaction and sets their errors. Its own error is that of a statement, the connection
	// or the commit, and then nothing was written, unless doubt says that the connection broke during the commit.
	transact(ops []*op) (doubt bool, err error)
	// lost tells whether the connection broke; the next transaction takes a new one.
	lost() bool
	close()
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
	order int64 // among those of one commit
	run   func(*Tx) error
	undo  func(committed bool) // called once when the submitter has not heard of success; may be nil
	state atomic.Int32
	err   error
	done  chan struct{}
}

// NewFileWriter writes to an SQLite file through db's one connection. copies is another's, which copies the log back until
// Close; nil: SQLite does that itself. p may be nil; otherwise nothing is written once its file is gone. explain puts errors
// into an operator's words.
func NewFileWriter(db, copies *sql.DB, p *place.Place, clock func() time.Time, explain func(error) error) *Writer {
	f, w := &file{db: db, place: p, clock: clock}, &Writer{batch: MaxBatch, explain: explain}
	if copies != nil {
		f.copier = (&copier{db: copies}).start()
		w.after = f.copier.stop
	}
	return w.start(f)
}

// NewServerWriter writes to PostgreSQL. batch is how many writes may share a transaction, MaxBatch at most.
func NewServerWriter(s *postgres.Server, batch int, explain func(error) error) *Writer {
	return (&Writer{batch: batch, explain: explain}).start(&pipeline{server: s})
}

func (w *Writer) start(db transactor) *Writer {
	w.db = db
	w.queue, w.quit, w.done = make(chan *op, 4*MaxBatch), make(chan struct{}), make(chan struct{})
	go w.loop()
	return w
}

// Write carries out run durably. When it returns an error, nothing was written; if that is not sure, because ctx was
// over in the middle or the connection broke, undo is called with committed true, possibly later. Of the writes that share
// a commit, those of a lower order come first: rows that are appended in the order of their keys fill their pages.
func (w *Writer) Write(ctx context.Context, order int64, run func(*Tx) error, undo func(committed bool)) error {
	o := &op{order: order, run: run, undo: undo, done: make(chan struct{})}
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

// Close ends the writer after what is queued.
func (w *Writer) Close() error {
	close(w.quit)
	<-w.done
	if w.after != nil {
		return w.after()
	}
	return nil
}

// Queued is how many writes wait for the next commit.
func (w *Writer) Queued() int { return len(w.queue) }

// Counts tells what the writer did so far: transactions, the writes that shared them, and the time they took.
func (w *Writer) Counts() (commits, writes int64, busy time.Duration) {
	return w.commits.Load(), w.writes.Load(), time.Duration(w.busy.Load())
}

// loop takes what has come in since the last commit as the next one, and waits only while nothing has.
func (w *Writer) loop() {
	defer close(w.done)
	defer w.db.close()
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
		w.gather()
		for len(batch) < w.batch && len(w.queue) > 0 {
			batch = append(batch, <-w.queue)
		}
		w.commit(batch)
	}
}

// gather makes way as long as that brings new writes: whoever is about to write joins this commit. Some are several
// goroutines away from their write, so a few rounds may bring none. When nobody else is at work it returns at once.
func (w *Writer) gather() {
	for n, empty := 0, 0; empty < 4 && n < w.batch; empty++ {
		runtime.Gosched()
		if len(w.queue) > n {
			n, empty = len(w.queue), -1
		}
	}
}

// commit ends every op of the batch. When one of them breaks the transaction, each gets one of its own.
func (w *Writer) commit(batch []*op) {
	live := batch[:0]
	for _, o := range batch {
		if o.state.CompareAndSwap(opWaiting, opRunning) {
			live = append(live, o)
		}
	}
	if len(live) == 0 {
		return
	}
	slices.SortStableFunc(live, func(a, b *op) int { return cmp.Compare(a.order, b.order) })
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
func (w *Writer) try(ops []*op) (retry, doubt bool) {
	start := time.Now()
	doubt, err := w.db.transact(ops)
	if err != nil {
		w.fail(ops, err)
		return len(ops) > 1 && !doubt && !w.db.lost(), doubt
	}
	w.commits.Add(1)
	w.writes.Add(int64(len(ops)))
	w.busy.Add(int64(time.Since(start)))
	return false, false
}

// fail gives every op the same error, in an operator's words.
func (w *Writer) fail(ops []*op, err error) {
	err = w.explain(err)
	for _, o := range ops {
		o.err = err
	}
}
