package rehearsal

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge"
)

// Bounds of what waits to be read. Calls never wait for it: what is more is counted and left out.
const (
	waitingMost = 1024
	waitingSize = 64 << 20
	batchMost   = 100
	writeTime   = 10 * time.Second
)

// Recorder reads rehearsed requests beside the calls, and writes them down some at a time.
type Recorder struct {
	keep   bridge.Rehearsals
	log    *slog.Logger
	jobs   chan job
	quit   chan struct{}
	done   chan struct{}
	size   atomic.Int64 // of what waits
	lost   atomic.Int64 // left out since the last that was written down
	warned atomic.Bool  // that calls are left out, since then

	description     string // that was kept last
	descriptionKept time.Time
}

type job struct {
	size int64
	read func() bridge.Rehearsed
}

// NewRecorder makes one that works until Close.
func NewRecorder(keep bridge.Rehearsals, log *slog.Logger) *Recorder {
	r := &Recorder{keep: keep, log: log, jobs: make(chan job, waitingMost), quit: make(chan struct{}), done: make(chan struct{})}
	go r.run()
	return r
}

// Close writes down what still waits. Nothing may be noted any more.
func (r *Recorder) Close() {
	close(r.quit)
	<-r.done
}

// Note has a request read and written down, unless too many wait already.
func (r *Recorder) Note(size int, read func() bridge.Rehearsed) {
	j := job{int64(size), read}
	if r.size.Add(j.size) > waitingSize {
		r.leaveOut(j)
		return
	}
	select {
	case r.jobs <- j:
	default:
		r.leaveOut(j)
	}
}

func (r *Recorder) leaveOut(j job) {
	r.size.Add(-j.size)
	if r.lost.Add(1); !r.warned.Swap(true) {
		r.log.Warn("rehearsed calls come faster than they can be written down; some are left out of the rehearsal's report")
	}
}

func (r *Recorder) run() {
	defer close(r.done)
	for {
		select {
		case j := <-r.jobs:
			r.write(r.batch(j))
		case <-r.quit:
			for len(r.jobs) > 0 {
				r.write(r.batch(<-r.jobs))
			}
			return
		}
	}
}

// batch takes what waits behind j, too.
func (r *Recorder) batch(j job) (calls []bridge.Rehearsed) {
	for {
		if c, ok := r.read(j); ok {
			calls = append(calls, c)
		}
		if len(calls) == batchMost {
			return calls
		}
		select {
		case j = <-r.jobs:
		default:
			return calls
		}
	}
}

// read keeps a panic over somebody's bytes to itself.
func (r *Recorder) read(j job) (c bridge.Rehearsed, ok bool) {
	defer r.size.Add(-j.size)
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("panic while reading a rehearsed call", "panic", p)
			r.lost.Add(1)
		}
	}()
	c = j.read()
	if c.Operation == bridge.RehearsedWSDL { // 100 KB each time that a program starts
		if c.Answer.Body == r.description && c.At.Sub(r.descriptionKept) < time.Hour {
			c.Answer.Body = ""
		} else {
			r.description, r.descriptionKept = c.Answer.Body, c.At
		}
	}
	return c, true
}

func (r *Recorder) write(calls []bridge.Rehearsed) {
	if len(calls) == 0 {
		return
	}
	lost := r.lost.Swap(0)
	calls[0].Lost = int(lost)
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	if err := r.keep.Rehearse(ctx, calls); err != nil {
		r.lost.Add(lost + int64(len(calls)))
		r.log.Error("rehearsed calls could not be written down", "calls", len(calls), "err", err.Error())
		return
	}
	r.warned.Store(false)
}
