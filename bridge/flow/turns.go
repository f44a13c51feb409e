package flow

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// shutError is a gate that is shut since the credentials were refused: waiting would not help.
type shutError struct{ gate bridge.Gate }

func (e *shutError) Error() string {
	return fmt.Sprintf("nothing is sent until %s: %s", e.gate.Until.UTC().Format("15:04:05 MST"), e.gate.Text)
}

// turns are the queues in front of the authorities' rates, one for each.
type turns struct {
	budget bridge.Budget
	mu     sync.Mutex
	by     map[string]*line
}

// line is the queue of one rate. The lowest entry ID goes first, whenever it came; who waits for a gate of his own holds
// up nobody.
type line struct {
	mu    sync.Mutex // never held while the budget is asked
	queue []*turn
	busy  bool          // run is serving it
	full  bool          // the rate is: whoever comes to its end changes nothing
	wake  chan struct{} // the queue has changed
}

// turn is one flight in a line.
type turn struct {
	id    int64
	p     *bridge.Profile
	ready chan booking // buffered
}

// booking is what a turn comes to: a booked send, or why there is none.
type booking struct {
	at  time.Time
	err error
}

// free books a send if it may leave at once: nobody waits, the gates are open, the rate has room. It takes no longer than
// patience: a gate may be shut while another one is read.
func (ts *turns) free(ctx context.Context, p *bridge.Profile, patience time.Duration) (at time.Time, ok bool, err error) {
	if ts.line(p).size() > 0 {
		return time.Time{}, false, nil
	}
	b := within(ctx, patience)
	defer b.release()
	wait, err := ts.gates(b, p)
	if err == nil && wait == 0 && p.Cancels.Limit > 0 {
		at, wait, err = ts.budget.Take(b, p.Cancels, bridge.Last)
	}
	return at, err == nil && wait == 0, err
}

// gates tells how long the gates in front of an upstream stay shut. Beside the taxpayer's credential there may be one in
// front of the account that several taxpayers share: a 429 counts for all who send under one rate.
func (ts *turns) gates(ctx context.Context, p *bridge.Profile) (wait time.Duration, err error) {
	for _, key := range [...]string{p.Credential, p.Cancels.Key} {
		if key == "" {
			continue
		}
		g, shut, err := ts.budget.Gate(ctx, key)
		switch {
		case err != nil:
			return 0, err
		case shut && g.Class == bridge.Misconfigured:
			return 0, &shutError{g}
		case shut:
			wait = max(wait, time.Until(g.Until), time.Millisecond)
		}
	}
	return wait, nil
}

// wait returns when it is the entry's turn and its send is booked. It ends early with ctx, and with a shutError when
// the credentials were refused meanwhile.
func (ts *turns) wait(ctx context.Context, p *bridge.Profile, id int64) (time.Time, error) {
	l, t := ts.line(p), &turn{id, p, make(chan booking, 1)}
	if l.enter(t) {
		go ts.run(l)
	}
	select {
	case b := <-t.ready:
		return b.at, b.err
	case <-ctx.Done():
		if !l.leave(t) { // its turn came just now
			if b := <-t.ready; b.err == nil {
				ts.giveBack(p.Cancels, b.at)
			}
		}
		return time.Time{}, context.Cause(ctx)
	}
}

// giveBack gives up a booked send.
func (ts *turns) giveBack(r bridge.Rate, at time.Time) {
	if at.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), diskTime)
	defer cancel()
	_ = ts.budget.Return(ctx, r, at) // else it ages out: a send less within the window
}

// run serves a line until it is empty. It outlives the flight that started it: every flight in the queue leaves when its
// own time is over.
func (ts *turns) run(l *line) {
	for {
		waiting := l.waiting()
		if waiting == nil {
			return
		}
		pause := time.Minute
		for _, t := range waiting {
			b, wait, everybody := ts.try(t)
			if wait == 0 {
				if !l.serve(t, b) && b.err == nil {
					ts.giveBack(t.p.Cancels, b.at)
				}
				pause = 0
				break
			}
			if pause = min(pause, wait); everybody {
				l.fill()
				break
			}
		}
		l.sleep(pause)
	}
}

// try asks for one turn. wait 0 means that it has come to something; everybody that those behind it wait as well.
func (ts *turns) try(t *turn) (b booking, wait time.Duration, everybody bool) {
	ctx, cancel := context.WithTimeout(context.Background(), diskTime)
	defer cancel()
	if wait, b.err = ts.gates(ctx, t.p); b.err != nil || wait > 0 {
		return b, wait, false
	}
	if t.p.Cancels.Limit > 0 {
		b.at, wait, b.err = ts.budget.Take(ctx, t.p.Cancels, t.id)
	}
	if b.err != nil {
		wait = 0
	}
	return b, wait, true
}

// waiting is the number of flights that wait their turn, all lines together.
func (ts *turns) waiting() int {
	ts.mu.Lock()
	lines := make([]*line, 0, len(ts.by))
	for _, l := range ts.by {
		lines = append(lines, l)
	}
	ts.mu.Unlock()
	n := 0
	for _, l := range lines {
		n += l.size()
	}
	return n
}

// line is the queue of an upstream's rate or, without one, of its credential.
func (ts *turns) line(p *bridge.Profile) *line {
	key := p.Credential
	if p.Cancels.Limit > 0 {
		key = p.Cancels.Key
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	l, ok := ts.by[key]
	if !ok {
		l = &line{wake: make(chan struct{}, 1)}
		ts.by[key] = l
	}
	return l
}

// enter puts a turn in its place; true when nobody serves the line.
func (l *line) enter(t *turn) (serve bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, _ := slices.BinarySearchFunc(l.queue, t.id, func(t *turn, id int64) int { return int(t.id - id) })
	l.queue = slices.Insert(l.queue, at, t)
	serve, l.busy = !l.busy, true
	if at == 0 || !l.full {
		l.poke()
	}
	return serve
}

// fill notes that who comes next waits for the rate anyway, until it is asked again.
func (l *line) fill() {
	l.mu.Lock()
	l.full = true
	l.mu.Unlock()
}

// waiting is who waits, in order; nil when there is nobody, and then nobody serves the line any more.
func (l *line) waiting() []*turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy, l.full = len(l.queue) > 0, false
	if !l.busy {
		return nil
	}
	return slices.Clone(l.queue)
}

// serve ends a turn; false when its flight has left.
func (l *line) serve(t *turn, b booking) bool {
	if !l.leave(t) {
		return false
	}
	t.ready <- b
	return true
}

// leave takes a turn out of the queue; false when it is not there any more.
func (l *line) leave(t *turn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.queue, t)
	if i < 0 {
		return false
	}
	l.queue = slices.Delete(l.queue, i, i+1)
	if i == 0 {
		l.poke()
	}
	return true
}

func (l *line) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

// sleep waits for d or until the queue has changed.
func (l *line) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.wake:
	}
}

func (l *line) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
