package upstream

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"einvoice-bridge/bridge"
)

const (
	// tripAfter failures in a row the breaker opens; reopenAfter lets one call through to see.
	tripAfter   = 5
	reopenAfter = 15 * time.Second
)

// breaker stops calls to a host that can't be reached or is down, whoever makes them: with thousands of taxpayers an
// outage is found out once. It counts unavailability only: no reply, 408, 5xx that the adapter could not read an answer
// from.
type breaker struct {
	origin string // scheme, host and port
	steps  *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu      sync.Mutex
	reopens time.Time // when the open breaker lets a call through
	why     string    // the last failure that it counted
	trips   int
}

// HostInfo is a host, as it is reached with certain settings, for the console.
type HostInfo struct {
	Host    string // "https://api.example:8443"
	Breaker string // "closed", "half-open", "open"
	Trips   int
}

func newBreaker(log *slog.Logger, origin string) *breaker {
	b := &breaker{origin: origin}
	b.steps = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:      reopenAfter,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
		IsSuccessful: func(err error) bool { return err == nil },
		IsExcluded:   func(err error) bool { return errors.Is(err, errNotAsked) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			log.Warn("breaker changed", "host", origin, "from", from.String(), "to", to.String())
			if to == gobreaker.StateOpen {
				b.mu.Lock()
				b.reopens, b.trips = time.Now().Add(reopenAfter), b.trips+1
				b.mu.Unlock()
			}
		},
	})
	return b
}

// originOf is scheme, host and port of a URL, in one spelling.
func originOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

// pass is the context of a call that a breaker let through.
type pass struct {
	context.Context
	by     *breaker
	fenced atomic.Bool // its own fence stopped it, so that it tells nothing of the host
}

type passKey struct{}

// Value implements context.Context.
func (p *pass) Value(key any) any {
	if key == (passKey{}) {
		return p
	}
	return p.Context.Value(key)
}

// fenced notes that this process may not send any more.
func fenced(ctx context.Context) {
	if p, ok := ctx.Value(passKey{}).(*pass); ok {
		p.fenced.Store(true)
	}
}

// let runs a call unless the breaker is open. What the outcome tells of the host is counted. A step of a call that has
// been let through already, as a login is of a cancel at the same host, is not asked for again: the call is counted as one.
func (b *breaker) let(ctx context.Context, call func(context.Context) *bridge.Outcome) *bridge.Outcome {
	if p, ok := ctx.Value(passKey{}).(*pass); ok && p.by == b {
		return call(ctx)
	}
	done, err := b.steps.Allow()
	if err != nil {
		return b.refusal()
	}
	p, health := &pass{Context: ctx, by: b}, errNotAsked
	defer func() { done(health) }()
	o := call(p)
	if !p.fenced.Load() {
		health = b.healthOf(o)
	}
	return o
}

// refusal says until when the breaker stays open and why.
func (b *breaker) refusal() *bridge.Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	// One call is let through to see how things are; while it is under way, the others hear of the next second.
	wait := max(time.Until(b.reopens), time.Second)
	text := "breaker open until " + clock(time.Now().Add(wait)) + " after failures in a row, the last: " + b.why
	return &bridge.Outcome{Class: bridge.NotApplied, Message: text, RetryAfter: wait}
}

var (
	errNotAsked = errors.New("the host was not asked")
	errDown     = errors.New("unavailable")
)

// healthOf says what an outcome tells of the host's availability. One without exchanges was decided on this side and
// tells nothing, as does one that a login at another host has ended.
func (b *breaker) healthOf(o *bridge.Outcome) error {
	if len(o.Exchanges) == 0 {
		return errNotAsked
	}
	last := &o.Exchanges[len(o.Exchanges)-1]
	switch {
	case last.Purpose == string(ForLogin) && originOf(last.URL) != b.origin:
		return errNotAsked
	case o.Class != bridge.Unknown && o.Class != bridge.NotApplied:
		return nil
	case o.HTTPStatus == 0 || o.HTTPStatus == 408 || o.HTTPStatus >= 500:
		b.mu.Lock()
		b.why = o.Message
		b.mu.Unlock()
		return errDown
	}
	return nil
}

func (b *breaker) info() HostInfo {
	state := b.steps.State().String()
	b.mu.Lock()
	defer b.mu.Unlock()
	return HostInfo{Host: b.origin, Breaker: state, Trips: b.trips}
}

// Through is a login at a host that may be another than that of the calls which need it: an outage there stops logins,
// and no call that has a session.
func Through[T any](c *Client, login Login[T]) Login[T] {
	return func(ctx context.Context, why Why, prev T) (lease Lease[T], trail []bridge.Exchange, err error) {
		asked := false
		o := c.host.let(ctx, func(ctx context.Context) *bridge.Outcome {
			asked = true
			if lease, trail, err = login(ctx, why, prev); err != nil {
				return NotSent(err)
			}
			return &bridge.Outcome{Exchanges: trail}
		})
		if !asked {
			return lease, nil, &Failure{*o}
		}
		return lease, trail, err
	}
}
