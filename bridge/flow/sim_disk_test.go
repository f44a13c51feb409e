package flow

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge"
)

// The journal of the simulation: a real one or the model, that fails and is slow as planned.

var errShaky = errors.New("disk error")

// fault is what the journal does to one call of the flow.
type fault struct {
	delay         time.Duration
	before, after bool // fails, before or after it has written
}

// shaky is a journal that may fail at any call but MaySend and AwaitRelease, which touch no disk.
type shaky struct {
	bridge.Journal
	bridge.Budget
	i    *process
	undo atomic.Bool
}

// unheard makes the model take back what it has just written, as both journals do with a Begin or Take whose caller has
// left before he hears of it.
func (s *shaky) unheard(method string) (time.Duration, error) {
	if (method == "Begin written" || method == "Take written") && s.undo.Swap(false) {
		return 0, errShaky
	}
	return 0, nil
}

// kind is what a fault after a call's end means.
type kind uint8

const (
	reads  kind = iota // nothing
	writes             // it is written, and the caller is told that it is not
	undoes             // the journal takes it back
	always             // as writes, and no fault keeps it from being done
)

// shake is one call: what is wrong before it, do, what is wrong after it.
func shake[T any](ctx context.Context, s *shaky, name string, k kind, do func() (T, error)) (v T, err error) {
	w := s.i.w
	f := w.nextFault(s.i, name, k)
	if f.delay > 0 {
		t := time.NewTimer(f.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			if k != always {
				return v, ctx.Err()
			}
		}
	}
	if s.i.died() || f.before && k != always {
		return v, errShaky
	}
	s.undo.Store(f.after && k == undoes)
	v, err = do()
	s.undo.Store(false)
	if err == nil && f.after && (k == writes || k == always) {
		err = errShaky
	}
	return v, err
}

// done is shake for what returns an error only.
func done(ctx context.Context, s *shaky, name string, do func() error) error {
	_, err := shake(ctx, s, name, writes, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

func (s *shaky) Find(ctx context.Context, k bridge.Key, t string) (bridge.Entry, error) {
	return shake(ctx, s, "find", reads, func() (bridge.Entry, error) { return s.Journal.Find(ctx, k, t) })
}

func (s *shaky) Begin(ctx context.Context, b bridge.Begin) (e bridge.Entry, created bool, err error) {
	e, err = shake(ctx, s, "begin", undoes, func() (e bridge.Entry, err error) {
		e, created, err = s.Journal.Begin(ctx, b)
		return e, err
	})
	return e, created, err
}

func (s *shaky) Requeue(ctx context.Context, e bridge.Entry) (bridge.Entry, error) {
	return shake(ctx, s, "requeue", writes, func() (bridge.Entry, error) { return s.Journal.Requeue(ctx, e) })
}

func (s *shaky) Attempt(ctx context.Context, e bridge.Entry, start time.Time) (bridge.Attempt, error) {
	return shake(ctx, s, "attempt", writes, func() (bridge.Attempt, error) { return s.Journal.Attempt(ctx, e, start) })
}

func (s *shaky) MaySend(ctx context.Context, e *bridge.Entry) error {
	if s.i.died() {
		return errShaky
	}
	return s.Journal.MaySend(ctx, e)
}

func (s *shaky) Finish(ctx context.Context, f *bridge.Finish) (bridge.Entry, error) {
	return shake(ctx, s, "finish", writes, func() (bridge.Entry, error) { return s.Journal.Finish(ctx, f) })
}

func (s *shaky) Tell(ctx context.Context, asks ...bridge.Ask) error {
	return done(ctx, s, "tell", func() error { return s.Journal.Tell(ctx, asks...) })
}

func (s *shaky) Release(ctx context.Context, e bridge.Entry) error {
	_, err := shake(ctx, s, "release", always, func() (struct{}, error) { return struct{}{}, s.Journal.Release(ctx, e) })
	return err
}

// Due and Orphans may fail after they have claimed some. They are called all the time: only where they claim something do
// they use up a fault of the story.
func (s *shaky) Due(ctx context.Context, now time.Time, n int) ([]bridge.Entry, error) {
	return s.claim(func() ([]bridge.Entry, error) { return s.Journal.Due(ctx, now, n) })
}

func (s *shaky) Orphans(ctx context.Context, now time.Time) ([]bridge.Entry, error) {
	return s.claim(func() ([]bridge.Entry, error) { return s.Journal.Orphans(ctx, now) })
}

func (s *shaky) claim(do func() ([]bridge.Entry, error)) ([]bridge.Entry, error) {
	if s.i.died() {
		return nil, errShaky
	}
	claimed, err := do()
	if len(claimed) > 0 && err == nil {
		return shake(context.Background(), s, "claim", always, func() ([]bridge.Entry, error) { return claimed, nil })
	}
	return claimed, err
}

func (s *shaky) Take(ctx context.Context, r bridge.Rate, turn int64) (at time.Time, wait time.Duration, err error) {
	wait, err = shake(ctx, s, "take", undoes, func() (wait time.Duration, err error) {
		at, wait, err = s.Budget.Take(ctx, r, turn)
		return wait, err
	})
	return at, wait, err
}

func (s *shaky) Return(ctx context.Context, r bridge.Rate, at time.Time) error {
	err := done(ctx, s, "return", func() error { return s.Budget.Return(ctx, r, at) })
	if err != nil {
		s.i.w.lose()
	}
	return err
}

func (s *shaky) Shut(ctx context.Context, key string, g bridge.Gate) error {
	step := s.i.step.Load() // journals read the clock at once, before they wait for a disk
	return done(ctx, s, "shut", func() error {
		g.Until = g.Until.Add(time.Duration(s.i.step.Load() - step))
		return s.Budget.Shut(ctx, key, g)
	})
}

func (s *shaky) Gate(ctx context.Context, key string) (g bridge.Gate, shut bool, err error) {
	g, err = shake(ctx, s, "gate", reads, func() (g bridge.Gate, err error) {
		g, shut, err = s.Budget.Gate(ctx, key)
		return g, err
	})
	return g, shut, err
}
