package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"einvoice-bridge/bridge"
)

const (
	// tripAfter failures in a row the breaker opens; reopenAfter lets one call through to see.
	tripAfter   = 5
	reopenAfter = 15 * time.Second
)

// Guard is the door in front of one credential: it stops calls that are bound to fail, so that an authority's trouble
// does not become the callers' and an account is not hammered into a lock. It is safe for concurrent use.
//
// The breaker counts unavailability only: no reply, 408, 5xx that the adapter could not read an answer from. The
// gates live in the Budget and outlast restarts; the Service asks them before each send, the Guard before each login.
type Guard struct {
	budget     bridge.Budget
	log        *slog.Logger
	credential string
	hold       time.Duration
	breaker    *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu      sync.Mutex
	reopens time.Time // when an open breaker lets a call through
	why     string    // the last failure that the breaker counted
	trips   int
	shut    time.Time // until when this Guard has shut the gate, to spare the Budget repeats
}

// GuardInfo is a guard as the console shows it.
type GuardInfo struct {
	Credential string
	Breaker    string // "closed", "half-open", "open"
	Trips      int
}

func newGuard(budget bridge.Budget, log *slog.Logger, credential string, hold time.Duration) *Guard {
	g := &Guard{budget: budget, log: log, credential: credential, hold: hold}
	g.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:      reopenAfter,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
		IsSuccessful: func(err error) bool { return err == nil },
		IsExcluded:   func(err error) bool { return errors.Is(err, errNothingSent) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			log.Warn("breaker changed", "credential", short(credential), "from", from.String(), "to", to.String())
			if to == gobreaker.StateOpen {
				g.mu.Lock()
				g.reopens, g.trips = time.Now().Add(reopenAfter), g.trips+1
				g.mu.Unlock()
			}
		},
	})
	return g
}

// Cancel runs one cancel unless the breaker is open: then it is NotApplied at once. An outcome that a reply decided
// (HTTPStatus is set) shuts the gate when it says so: Misconfigured for hold, NotApplied for its RetryAfter. An
// adapter whose Misconfigured concerns one document only leaves HTTPStatus 0.
func (g *Guard) Cancel(ctx context.Context, call func(context.Context) bridge.Outcome) bridge.Outcome {
	done, err := g.breaker.Allow()
	if err != nil {
		text, wait := g.open()
		return bridge.Outcome{Class: bridge.NotApplied, Message: text, RetryAfter: wait}
	}
	health := errNothingSent
	defer func() { done(health) }()
	o := call(ctx)
	health = g.healthOf(o)
	g.shutFor(ctx, o)
	return o
}

// Lookup runs one lookup unless the breaker is open: then the error wraps bridge.ErrUnavailable.
func (g *Guard) Lookup(ctx context.Context, call func(context.Context) (bridge.DocumentState, error)) (bridge.DocumentState, error) {
	done, err := g.breaker.Allow()
	if err != nil {
		text, _ := g.open()
		return bridge.DocumentState{}, fmt.Errorf("%s: %w", text, bridge.ErrUnavailable)
	}
	health := errNothingSent
	defer func() { done(health) }()
	state, err := call(ctx)
	if health = nil; err != nil {
		health = g.healthOf(NotSent(err))
	}
	return state, err
}

// open says until when the breaker stays open and why.
func (g *Guard) open() (text string, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	// One call is let through to see how things are; while it is under way, the others hear of the next second.
	wait = max(time.Until(g.reopens), time.Second)
	return "breaker open until " + clock(time.Now().Add(wait)) + " after failures in a row, the last: " + g.why, wait
}

// Admit asks, before a login, for an open gate and for room in the login rates, shortest first. The error is a
// *Failure.
func (g *Guard) Admit(ctx context.Context, logins ...bridge.Rate) error {
	gate, shut, err := g.budget.Gate(ctx, g.credential)
	if err != nil {
		return &Failure{bridge.Outcome{Class: bridge.NotApplied, Message: "gates can't be read: " + err.Error(), Alarm: "read gate: " + err.Error()}}
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
			return &Failure{bridge.Outcome{Class: bridge.NotApplied, Message: "login budget can't be read: " + err.Error(), Alarm: "take login: " + err.Error()}}
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
	o = BeforeCancel(o)
	g.shutFor(ctx, o)
	return &Failure{o}
}

func (g *Guard) shutFor(ctx context.Context, o bridge.Outcome) {
	wait := o.RetryAfter
	switch {
	case o.HTTPStatus == 0:
		return
	case o.Class == bridge.Misconfigured && wait == 0:
		wait = g.hold
	case o.Class != bridge.Misconfigured && o.Class != bridge.NotApplied, wait == 0:
		return
	}
	text := o.Alarm
	if text == "" {
		text = o.Message
	}
	g.Shut(ctx, bridge.Gate{Class: o.Class, Until: time.Now().Add(wait), Text: text})
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

func (g *Guard) info() GuardInfo {
	state := g.breaker.State().String()
	g.mu.Lock()
	defer g.mu.Unlock()
	return GuardInfo{Credential: g.credential, Breaker: state, Trips: g.trips}
}

var (
	errNothingSent = errors.New("nothing was sent")
	errDown        = errors.New("unavailable")
)

// healthOf says what an outcome tells of the authority's availability. An outcome without exchanges was decided on
// this side and tells nothing.
func (g *Guard) healthOf(o bridge.Outcome) error {
	switch {
	case len(o.Exchanges) == 0:
		return errNothingSent
	case o.Class != bridge.Unknown && o.Class != bridge.NotApplied:
		return nil
	case o.HTTPStatus == 0 || o.HTTPStatus == 408 || o.HTTPStatus >= 500:
		g.mu.Lock()
		g.why = o.Message
		g.mu.Unlock()
		return errDown
	}
	return nil
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
func (f *Failure) Error() string {
	if f.Outcome.Alarm != "" {
		return f.Outcome.Alarm
	}
	return f.Outcome.Message
}

// Is makes a failure without exchanges a bridge.ErrUnavailable.
func (f *Failure) Is(target error) bool {
	return target == bridge.ErrUnavailable && len(f.Outcome.Exchanges) == 0
}

// NotSent is the outcome of a cancel that a failed login or lookup stopped: a Failure's own, otherwise NotApplied.
func NotSent(err error) bridge.Outcome {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Outcome
	}
	return bridge.Outcome{Class: bridge.NotApplied, Message: "stopped before the cancel was sent: " + err.Error()}
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
