package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// Guard is the door in front of one credential at one host: it stops calls that are bound to fail, so that an authority's
// trouble does not become the callers' and an account is not hammered into a lock. It is safe for concurrent use.
//
// Whether the host is there is the breaker's to know, which all credentials at that host share. Whether it lets the
// credential in is the gate's: gates live in the Budget and outlast restarts; the Service asks them before each send, the
// Guard before each login.
type Guard struct {
	host       *breaker
	budget     bridge.Budget
	log        *slog.Logger
	credential string
	hold       time.Duration

	mu   sync.Mutex
	shut time.Time // until when this Guard has shut the gate, to spare the Budget repeats
}

// Cancel runs one cancel unless the breaker is open: then it is NotApplied at once. An outcome that a reply decided
// (HTTPStatus is set) shuts the gate when it says so: Misconfigured for hold, NotApplied for its RetryAfter. An
// adapter whose Misconfigured concerns one document only leaves HTTPStatus 0.
func (g *Guard) Cancel(ctx context.Context, call func(context.Context) *bridge.Outcome) *bridge.Outcome {
	o := g.host.let(ctx, call)
	g.shutFor(ctx, o)
	return o
}

// Lookup runs one lookup unless the breaker is open: then the error wraps bridge.ErrUnavailable.
func (g *Guard) Lookup(ctx context.Context, call func(context.Context) (bridge.DocumentState, error)) (state bridge.DocumentState, err error) {
	asked := false
	o := g.host.let(ctx, func(ctx context.Context) *bridge.Outcome {
		asked = true
		if state, err = call(ctx); err != nil {
			return NotSent(err)
		}
		return &bridge.Outcome{Exchanges: state.Exchanges}
	})
	if !asked {
		return state, fmt.Errorf("%s: %w", o.Message, bridge.ErrUnavailable)
	}
	return state, err
}

// Admit asks, before a login, for an open gate and for room in the login rates, shortest first. The error is a
// *Failure.
func (g *Guard) Admit(ctx context.Context, logins ...bridge.Rate) error {
	gate, shut, err := g.budget.Gate(ctx, g.credential)
	if err != nil {
		return journalFailed("gates can't be read: ", "read gate: ", err)
	}
	if shut {
		return &Failure{bridge.Outcome{
			Class:      gate.Class,
			Message:    "calls held back until " + clock(gate.Until) + ": " + gate.Text,
			RetryAfter: time.Until(gate.Until),
		}}
	}
	for _, rate := range logins {
		_, wait, err := g.budget.Take(ctx, rate, bridge.Last)
		if err != nil {
			return journalFailed("login budget can't be read: ", "take login: ", err)
		}
		if wait > 0 {
			return &Failure{bridge.Outcome{
				Class:      bridge.NotApplied,
				RetryAfter: wait,
				Message: fmt.Sprintf("logins held back until %s: %d in %s are used up",
					clock(time.Now().Add(wait)), rate.Limit, brief(rate.Per)),
			}}
		}
	}
	return nil
}

// Fail turns the outcome of a login or lookup into the error that it ends with, and shuts the gate when the outcome
// says so.
func (g *Guard) Fail(ctx context.Context, o bridge.Outcome) error {
	f := &Failure{BeforeCancel(o)}
	g.shutFor(ctx, &f.Outcome)
	return f
}

func (g *Guard) shutFor(ctx context.Context, o *bridge.Outcome) {
	wait := o.RetryAfter
	switch {
	case o.HTTPStatus == 0:
		return
	case o.Class == bridge.Misconfigured && wait == 0:
		wait = g.hold
	case o.Class != bridge.Misconfigured && o.Class != bridge.NotApplied, wait == 0:
		return
	}
	g.Shut(ctx, bridge.Gate{Class: o.Class, Until: time.Now().Add(wait), Text: cmp.Or(o.Alarm, o.Message)})
}

// Shut closes the gate for a reason that no outcome carries, for an hour at most: no reason that we know lasts longer,
// and a mistake must not.
func (g *Guard) Shut(ctx context.Context, gate bridge.Gate) {
	if last := time.Now().Add(MaxWait); gate.Until.After(last) {
		gate.Until = last
	}
	g.mu.Lock()
	known := gate.Until.Before(g.shut.Add(time.Second))
	g.mu.Unlock()
	if known {
		return
	}
	if err := g.budget.Shut(context.WithoutCancel(ctx), g.credential, gate); err != nil {
		g.log.Error("gate was not shut", "credential", short(g.credential), "err", err)
		return
	}
	g.mu.Lock()
	g.shut = gate.Until
	g.mu.Unlock()
}

// clock is a time as operators read it: to the minute, or to the second when it is less than a minute away. It is never
// before t.
func clock(t time.Time) string {
	unit, layout := time.Minute, "15:04"
	if time.Until(t) < time.Minute {
		unit, layout = time.Second, "15:04:05"
	}
	return t.Add(unit-1).Truncate(unit).UTC().Format(layout) + " UTC"
}

// brief is a duration without its zero parts: 15m, not 15m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Failure is the outcome of a step that comes before the cancel, as an error: NotApplied or Misconfigured. One that
// was decided on this side, before anything was sent, is a bridge.ErrUnavailable too.
type Failure struct{ Outcome bridge.Outcome }

// Error is for the operator: the alarm if there is one, else the message. No secret is in either.
func (f *Failure) Error() string { return cmp.Or(f.Outcome.Alarm, f.Outcome.Message) }

// journalFailed is the end of what the journal had to be asked for first.
func journalFailed(message, alarm string, err error) error {
	return &Failure{bridge.Outcome{Class: bridge.NotApplied, Message: message + err.Error(), Alarm: alarm + err.Error()}}
}

// Is makes a failure without exchanges a bridge.ErrUnavailable.
func (f *Failure) Is(target error) bool {
	return target == bridge.ErrUnavailable && len(f.Outcome.Exchanges) == 0
}

// NotSent is the outcome of a cancel that a failed login or lookup stopped: a Failure's own, otherwise NotApplied.
func NotSent(err error) *bridge.Outcome {
	if f, ok := errors.AsType[*Failure](err); ok {
		o := f.Outcome
		return &o
	}
	return &bridge.Outcome{Class: bridge.NotApplied, Message: "stopped before the cancel was sent: " + err.Error()}
}

// WithTrail is the error with the exchanges that led to it.
func WithTrail(err error, trail []bridge.Exchange) error {
	o := NotSent(err)
	o.Exchanges = append(trail[:len(trail):len(trail)], o.Exchanges...)
	return &Failure{*o}
}

func withoutExchanges(err error) error {
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		return err
	}
	o := f.Outcome
	o.Exchanges = nil
	return &Failure{o}
}
