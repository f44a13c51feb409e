package bridge

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// errShut is returned to a flight whose credential is refused: waiting would not help.
var errShut = errors.New("gate shut: credentials refused")

// lines are the queues in front of the budgets: one per rate, in the journal's order.
type lines struct {
	budget Budget
	mu     sync.Mutex
	by     map[string]*line
}

// line is the queue of one rate. The lowest entry ID goes first, whenever it came.
type line struct {
	mu    sync.Mutex
	queue []*turn
	busy  bool          // run is serving it
	wake  chan struct{} // the front of the queue changed
}

type turn struct {
	id    int64
	p     *Profile
	ready chan error // buffered; nil: go
}

func lineKey(p *Profile) string {
	if p.Cancels.Limit > 0 {
		return p.Cancels.Key
	}
	return p.Credential
}

func (ls *lines) line(p *Profile) *line {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l, ok := ls.by[lineKey(p)]
	if !ok {
		l = &line{wake: make(chan struct{}, 1)}
		ls.by[lineKey(p)] = l
	}
	return l
}

// delay asks gates and budget: 0 means go, and one send is booked. Beside the taxpayer's credential there may be a gate
// in front of the account that several taxpayers share: a 429 counts for all who send under one rate.
func (ls *lines) delay(ctx context.Context, p *Profile) (time.Duration, error) {
	for _, key := range [...]string{p.Credential, p.Cancels.Key} {
		g, shut, err := ls.budget.Gate(ctx, key)
		if err != nil {
			return 0, err
		}
		if shut && g.Class == Misconfigured {
			return 0, errShut
		}
		if wait := time.Until(g.Until); shut && wait > 0 {
			return wait, nil
		}
	}
	if p.Cancels.Limit == 0 {
		return 0, nil
	}
	return ls.budget.Take(ctx, p.Cancels)
}

// free books a send if it may leave at once: nobody waits, the gate is open, the budget has room.
func (ls *lines) free(ctx context.Context, p *Profile) (bool, error) {
	l := ls.line(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) > 0 {
		return false, nil
	}
	wait, err := ls.delay(ctx, p)
	return err == nil && wait == 0, err
}

// wait returns nil when it is the entry's turn and its send is booked. It ends early with ctx, and with errShut when
// the credentials were refused meanwhile.
func (ls *lines) wait(ctx context.Context, p *Profile, id int64) error {
	l := ls.line(p)
	t := &turn{id: id, p: p, ready: make(chan error, 1)}
	l.mu.Lock()
	at, _ := slices.BinarySearchFunc(l.queue, id, func(t *turn, id int64) int { return int(t.id - id) })
	l.queue = slices.Insert(l.queue, at, t)
	if !l.busy {
		l.busy = true
		go ls.run(l)
	} else if at == 0 {
		l.poke()
	}
	l.mu.Unlock()

	select {
	case err := <-t.ready:
		return err
	case <-ctx.Done():
		l.remove(t)
		return context.Cause(ctx)
	}
}

// run serves a line until it is empty. It outlives the flight that started it, so it has no context of its own: every
// flight in the queue leaves when its own context ends.
func (ls *lines) run(l *line) {
	for {
		l.mu.Lock()
		if len(l.queue) == 0 {
			l.busy = false
			l.mu.Unlock()
			return
		}
		head := l.queue[0]
		wait, err := ls.delay(context.Background(), head.p)
		if wait == 0 {
			l.queue = l.queue[1:]
			head.ready <- err
		}
		l.mu.Unlock()
		if wait > 0 {
			l.sleep(wait)
		}
	}
}

// sleep waits for d or until the front of the queue changes.
func (l *line) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.wake:
	}
}

func (l *line) remove(t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.queue, t); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
	}
	l.poke()
}

func (l *line) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// waiting is the number of flights that wait their turn, all lines together.
func (ls *lines) waiting() int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	n := 0
	for _, l := range ls.by {
		l.mu.Lock()
		n += len(l.queue)
		l.mu.Unlock()
	}
	return n
}
