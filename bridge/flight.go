package bridge

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// flights holds the documents that this process is working on: at most one flight each. A second request of the same
// taxpayer joins its flight; another taxpayer's waits for it to end.
type flights struct {
	mu sync.Mutex
	by map[Key]*flight
}

// enter returns the document's flight, and true when the caller has just started it and must carry it to its end.
func (fs *flights) enter(f *flight) (*flight, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if g, ok := fs.by[f.key]; ok {
		return g, false
	}
	fs.by[f.key] = f
	return f, true
}

// leave ends a flight for newcomers; only then may its waiters be let go.
func (fs *flights) leave(f *flight) {
	fs.mu.Lock()
	delete(fs.by, f.key)
	fs.mu.Unlock()
	f.span.End()
	close(f.done)
}

// size is the number of documents in flight.
func (fs *flights) size() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return len(fs.by)
}

// flight is one document being worked on, and everyone who waits for it.
type flight struct {
	key   Key
	up    Upstream
	terms *Terms
	c     Cancellation
	req   Request // of the caller who started it; zero for the background
	// resend permits sending again after a doubtful attempt: true for callers, false for the background.
	resend bool
	done   chan struct{}   // closed when the flight has left
	ctx    context.Context // of its work: the Service's, with the flight's span
	span   trace.Span

	mu       sync.Mutex // held while the end is written down, so that nobody is told two things
	asks     []*ask
	over     bool
	waiting  bool      // for its turn at the authority
	promised bool      // somebody was told it waits its turn: carry on to the entry's expiry
	until    time.Time // no resend after this

	report CallReport // filled by the goroutine that carries the flight
}

// ask is one caller waiting on a flight.
type ask struct {
	req      Request
	deadline time.Time
	how      How
	told     chan Answer // buffered: the teller never waits
}

// join lets a caller wait on the flight; false when it is over and the journal knows more.
func (f *flight) join(a *ask) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return false
	}
	f.asks = append(f.asks, a)
	if a.deadline.After(f.until) {
		f.until = a.deadline
	}
	return true
}

// setWaiting notes whether the flight waits its turn; what a caller hears at its deadline depends on it.
func (f *flight) setWaiting(w bool) {
	f.mu.Lock()
	f.waiting = w
	f.mu.Unlock()
}

// retryUntil is how long sends may be repeated: the latest caller's deadline, or the entry's expiry once somebody was
// told that it waits its turn.
func (f *flight) retryUntil(e Entry) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.promised && e.Expires.After(f.until) {
		return e.Expires
	}
	return f.until
}

// giveUp takes a caller whose time is over off the flight and says what to tell him. The lock makes it wait for an
// end that is being written down right now; then ok is false and his answer is in a.told.
func (f *flight) giveUp(a *ask) (ans Answer, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, b := range f.asks {
		if a != b {
			continue
		}
		f.asks = append(f.asks[:i], f.asks[i+1:]...)
		if f.waiting {
			f.promised = true
			return Answer{Fault: FaultWaiting, Ref: a.req.Ref}, true
		}
		return answer(Outcome{Class: Unknown}, a.req.IRN, a.req.Ref), true
	}
	return Answer{}, false
}

// record is what the journal keeps of a caller who is told ans now.
func (a *ask) record(k Key, entry int64, taxpayer string, ans Answer, now time.Time) Ask {
	r := Ask{
		Ref: a.req.Ref, Caller: a.req.Caller, Taxpayer: taxpayer, Key: k, IRN: a.req.IRN,
		Reason: a.req.Reason, Remarks: a.req.Remarks, Entry: entry, Received: a.req.Received,
		Told: ans, ToldAt: now, How: a.how, SOAPIn: a.req.SOAPIn,
	}
	if a.req.Render != nil {
		r.SOAPOut = a.req.Render(ans)
	}
	return r
}
