package flow

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"einvoice-bridge/bridge"
)

// matter is one document as one request means it.
type matter struct {
	key    bridge.Key
	up     bridge.Upstream
	terms  *Terms
	c      bridge.Cancellation
	irn    string          // as the caller spelt it
	caller string          // who asked
	ctx    context.Context // of what is done for it: the Service's, with a span
}

// flight is one document being worked on, and everyone who waits for it. What stands above mu belongs to the goroutine
// that carries it, once it has taken off.
type flight struct {
	matter
	errand errand
	done   chan struct{}
	ended  func() // tells whoever counts the work of the call that began it, once; nil: he knows, or there is none
	span   trace.Span

	progress
	step    step // what next has decided last; its outcome is told in the end
	telling telling
	entry   bridge.Entry  // as on record, with what has been learnt since; no ID: none is known
	unsaved bridge.Finish // evidence that is not on record yet
	booking time.Time     // of the send that is booked; zero without one, or without a rate
	expiry  expiry
	trouble string // what the obstacle is, for operators
	report  bridge.CallReport

	mu       sync.Mutex // never held while something is waited for
	asks     []*ask
	over     bool      // its end is being written down: nobody joins any more
	waiting  bool      // for its turn at the authority, accepted
	promised bool      // somebody was told so: it is carried on with until the entry expires
	until    time.Time // the latest caller's deadline
}

// ask is one caller waiting for a flight.
type ask struct {
	req  *bridge.Request
	how  bridge.How          // fixed before anybody else has the ask
	told chan *bridge.Answer // buffered: the teller never waits
	late chan bridge.Ask     // what was recorded when he could not be kept longer; buffered, and made when he leaves a flight

	mu   sync.Mutex // Render is never called twice at once, nor by others once he is gone
	gone bool
}

func newAsk(r *bridge.Request, how bridge.How) *ask {
	return &ask{req: r, how: how, told: make(chan *bridge.Answer, 1)}
}

// heard is how an answer came about that a flight gives: who has joined hears what another one's call has come to.
func (a *ask) heard(how bridge.How) bridge.How {
	if a.how == bridge.FromJoin {
		return a.how
	}
	return how
}

// render is the answer as it is sent; leaving that the caller takes it along himself.
func (a *ask) render(ans *bridge.Answer, leaving bool) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.req.Render == nil || a.gone && !leaving {
		return nil
	}
	a.gone = leaving
	return a.req.Render(*ans)
}

// join lets a caller wait for the flight; false when it is ending and the record knows more.
func (f *flight) join(a *ask) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return false
	}
	a.how = bridge.FromJoin
	f.asks = append(f.asks, a)
	if a.req.Until.After(f.until) {
		f.until = a.req.Until
	}
	return true
}

// setWaiting notes whether the flight waits its turn; what a caller hears when his time is over depends on it.
func (f *flight) setWaiting(w bool) {
	f.mu.Lock()
	f.waiting = w
	f.mu.Unlock()
}

// expiry is when an entry expires by the monotonic clock, counted from when the flight first saw its time on record: what
// is carried here does not expire because the wall clock was set ahead.
type expiry struct{ onRecord, monotonic time.Time }

// expires is how long the entry may still be carried out. now is the wall clock, by which entries expire on record.
func (f *flight) expires(now time.Time) time.Duration {
	if !f.entry.Expires.Equal(f.expiry.onRecord) {
		f.expiry = expiry{f.entry.Expires, time.Now().Add(f.entry.Expires.Sub(now))}
	}
	return time.Until(f.expiry.monotonic)
}

// left is how long the flight has: until its latest caller's time is over, or until its entry expires once somebody was
// told that it waits its turn.
func (f *flight) left(now time.Time) time.Duration {
	expires := f.expires(now)
	f.mu.Lock()
	defer f.mu.Unlock()
	left := time.Until(f.until)
	if f.promised {
		left = max(left, expires)
	}
	return left
}

// patience bounds one thing that is done with the journal: by diskTime and, while nothing has been sent for those who
// wait, by their time, so that they can still be told that.
func (f *flight) patience() time.Duration {
	f.mu.Lock()
	left := time.Until(f.until)
	f.mu.Unlock()
	if f.errand != forCaller || f.tries > 0 || left <= 0 {
		return diskTime
	}
	return min(max(left*2/3, 500*time.Millisecond), diskTime)
}

// giveUp takes a caller whose time is over off the flight and says what to tell him; ok is false when he has his answer
// already.
func (f *flight) giveUp(a *ask) (ans bridge.Answer, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.remove(a) {
		return bridge.Answer{}, false
	}
	a.late = make(chan bridge.Ask, 1)
	ans = unknown.answer(a.req, "there was no answer yet when the caller's time was over")
	if f.waiting {
		f.promised = true
		ans = (&step{fault: bridge.FaultWaiting}).answer(a.req, "it waits its turn at the authority")
	}
	return ans, true
}

// ending lets nobody join any more and returns who waits.
func (f *flight) ending() []*ask {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	return slices.Clone(f.asks)
}

// drop takes a caller off the flight who is told its end now; false when his time was over before.
func (f *flight) drop(a *ask) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.remove(a)
}

// remove needs the lock.
func (f *flight) remove(a *ask) bool {
	i := slices.Index(f.asks, a)
	if i < 0 {
		return false
	}
	f.asks = slices.Delete(f.asks, i, i+1)
	return true
}

// flights holds the documents that this process is working on: at most one flight each. A second request of the same
// taxpayer joins its flight; another taxpayer's waits for it to end.
type flights struct {
	mu sync.Mutex
	by map[bridge.Key]*flight
	carriers
}

// enter returns the document's flight, and true when it is f and must be carried to its end.
func (fs *flights) enter(f *flight) (*flight, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if g, ok := fs.by[f.key]; ok {
		return g, false
	}
	fs.by[f.key] = f
	return f, true
}

// leave lets newcomers start a flight of their own.
func (fs *flights) leave(f *flight) {
	fs.mu.Lock()
	delete(fs.by, f.key)
	fs.mu.Unlock()
	f.span.End()
	close(f.done)
	f.end()
}

// end says that the work of the call that began the flight has ended.
func (f *flight) end() {
	if f.ended != nil {
		f.ended()
		f.ended = nil
	}
}

// size is the number of documents in flight.
func (fs *flights) size() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return len(fs.by)
}

// maxIdle is how many carriers stay when they have nothing to carry.
const maxIdle = 64

// carriers are goroutines that carry one flight after the other. A new goroutine has a small stack, and growing it to
// what a call needs costs as much as reading the authority's reply (measured).
type carriers struct {
	next chan *flight // unbuffered: only one who waits takes a flight
	idle atomic.Int32
}

// dispatch gives the flight to a carrier that waits, or to a new one.
func (s *Service) dispatch(f *flight) {
	select {
	case s.flights.next <- f:
	default:
		go s.carrier(f)
	}
}

func (s *Service) carrier(f *flight) {
	for {
		s.carry(f)
		if s.flights.idle.Add(1) > maxIdle {
			s.flights.idle.Add(-1)
			return
		}
		select {
		case f = <-s.flights.next:
			s.flights.idle.Add(-1)
		case <-s.work.closing:
			return
		}
	}
}
