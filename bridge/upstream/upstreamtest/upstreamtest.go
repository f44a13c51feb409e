// Package upstreamtest helps to test adapters: a budget in memory, and a network that is a function, so that whole
// conversations run under testing/synctest. Only tests import it.
package upstreamtest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// Budget is a bridge.Budget in memory that keeps its promises: sliding windows, gates that stay shut. It
// knows no turns.
type Budget struct {
	mu    sync.Mutex
	takes map[string][]time.Time
	gates map[string]bridge.Gate
}

// Take implements bridge.Budget.
func (b *Budget) Take(_ context.Context, r bridge.Rate, _ int64) (booked time.Time, wait time.Duration, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Limit == 0 {
		return booked, 0, nil
	}
	now := time.Now()
	var inside []time.Time
	for _, t := range b.takes[r.Key] {
		if now.Sub(t) < r.Per {
			inside = append(inside, t)
		}
	}
	if len(inside) >= r.Limit {
		return booked, inside[len(inside)-r.Limit].Add(r.Per).Sub(now), nil
	}
	if b.takes == nil {
		b.takes = map[string][]time.Time{}
	}
	b.takes[r.Key] = append(inside, now)
	return now, 0, nil
}

// Return implements bridge.Budget.
func (b *Budget) Return(_ context.Context, r bridge.Rate, booked time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.takes[r.Key], booked); i >= 0 {
		b.takes[r.Key] = slices.Delete(b.takes[r.Key], i, i+1)
	}
	return nil
}

// Shut implements bridge.Budget.
func (b *Budget) Shut(_ context.Context, credential string, g bridge.Gate) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gates == nil {
		b.gates = map[string]bridge.Gate{}
	}
	if g.Until.After(b.gates[credential].Until) {
		b.gates[credential] = g
	}
	return nil
}

// Gate implements bridge.Budget.
func (b *Budget) Gate(_ context.Context, credential string) (bridge.Gate, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.gates[credential]
	return g, time.Now().Before(g.Until), nil
}

// Network answers requests without sockets. A function that returns an error after reading the request is a
// connection that broke after writing.
type Network func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper. The request counts as written unless the error is a *net.OpError of "dial".
func (n Network) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	res, err := n(r)
	if op, ok := err.(*net.OpError); ok && op.Op == "dial" {
		return nil, err
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	if err == nil {
		err = r.Context().Err()
	}
	return res, err
}

// Respond makes a reply with this status, body and headers ("Name: value").
func Respond(status int, body string, headers ...string) *http.Response {
	h := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		h.Set(name, value)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// Free is the fence of a process that may send.
func Free(context.Context) error { return nil }

// Lost is the fence of a process whose lease another one has taken over.
func Lost(context.Context) error { return bridge.ErrLostLease }
