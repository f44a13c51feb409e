package journal

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"
)

// maxBatch bounds one transaction, so that the first in it doesn't wait long for the last.
const maxBatch = 256

// errClosed answers writes after Close.
var errClosed = errors.New("journal is closed")

// writer is one goroutine with one connection. It commits whatever came in while the last commit was on its way to
// the disk as one transaction, so that concurrent writes share an fsync and nobody waits for a timer.
type writer struct {
	db      transactor
	batch   int // most writes in one transaction
	explain func(error) error

	queue chan *op
	quit  chan struct{} // closed by stop
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

// later does what nobody waits for: the writer, who calls undo, must not wait for itself.
func later(do func(ctx context.Context)) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		do(ctx)
	}()
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

// stop ends the writer after what is queued.
func (w *writer) stop() {
	close(w.quit)
	<-w.done
}

// loop takes what has come in since the last commit as the next one, and waits only while nothing has.
func (w *writer) loop() {
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
func (w *writer) gather() {
	for n, empty := 0, 0; empty < 4 && n < w.batch; empty++ {
		runtime.Gosched()
		if len(w.queue) > n {
			n, empty = len(w.queue), -1
		}
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
func (w *writer) fail(ops []*op, err error) {
	err = w.explain(err)
	for _, o := range ops {
		o.err = err
	}
}

// Commits tells what the writers did since Open: transactions, the writes that shared them, and the time they took.
func (j *Journal) Commits() (commits, writes int64, busy time.Duration) {
	for _, w := range j.writers {
		commits, writes, busy = commits+w.commits.Load(), writes+w.writes.Load(), busy+time.Duration(w.busy.Load())
	}
	return commits, writes, busy
}
