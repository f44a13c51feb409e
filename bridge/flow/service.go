package flow

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge"
)

// Service carries cancellations from callers to upstreams. It is safe for concurrent use.
type Service struct {
	terms   atomic.Pointer[Terms] // of work that no call stands behind
	journal bridge.Journal
	observe bridge.Observer
	clock   func() time.Time // the wall clock, by which the record goes
	jitter  func(time.Duration) time.Duration
	flights flights
	turns   turns
	quiet   quiet
	strays  map[int64]time.Time // when an operator was called, by entry; the background's own

	ctx   context.Context // of all work; ends when the process gives up waiting for it
	stop  context.CancelFunc
	quit  chan struct{} // closed when no new work is begun
	mu    sync.Mutex    // guards shut against work.Add
	shut  bool
	work  sync.WaitGroup
	waits context.Context // of everything that waits; ends when the process begins to stop
	hold  context.CancelCauseFunc
}

// errClosing ends the waits of flights; the record carries them on.
var errClosing = errors.New("shutting down")

// diskTime bounds one write to the journal; a disk that takes longer counts as broken.
const diskTime = 5 * time.Second

// New wires the flow.
func New(j bridge.Journal, b bridge.Budget, o bridge.Observer, t *Terms) *Service {
	s := &Service{journal: j, observe: o, clock: time.Now, jitter: rand.N[time.Duration], quit: make(chan struct{}), strays: map[int64]time.Time{}}
	s.Change(t)
	s.flights.by, s.flights.next = map[bridge.Key]*flight{}, make(chan *flight)
	s.turns = turns{budget: b, by: map[string]*line{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.waits, s.hold = context.WithCancelCause(s.ctx)
	return s
}

// Change sets the terms of background work.
func (s *Service) Change(t *Terms) { s.terms.Store(t) }

// Cancel is one call of eInvoiceCancel by a caller who may act for the taxpayer. It returns when there is an answer, or
// at r.Until; the work goes on without him.
func (s *Service) Cancel(t *Terms, r bridge.Request) bridge.Answer {
	if !s.begin() {
		return s.turnAway(t, r)
	}
	defer s.work.Done()
	f, local := s.read(t, r)
	if local != nil {
		return s.tellOne(f, &ask{req: r, how: bridge.FromCheck}, *local)
	}
	return s.await(f, &ask{req: r, how: bridge.FromUpstream, told: make(chan bridge.Answer, 1)})
}

// turnAway answers while the Service is closing.
func (s *Service) turnAway(t *Terms, r bridge.Request) bridge.Answer {
	if ans, known := s.Recall(t, r); known {
		return ans
	}
	f, a := &flight{c: bridge.Cancellation{Taxpayer: r.Taxpayer, Ref: r.Ref}}, &ask{req: r, how: bridge.FromCheck}
	o := bridge.Outcome{Message: bridge.FaultBusy, RetryAfter: 5 * time.Second}
	ans := answer(o, r)
	ans.Why = errClosing.Error()
	s.observe.Answered(s.reportOf(f, a, ans, o))
	return ans
}

// Recall answers from the record alone, when no new work is taken. ok is false when the answer is not on record.
func (s *Service) Recall(t *Terms, r bridge.Request) (bridge.Answer, bool) {
	f, local := s.read(t, r)
	f.alone = true
	if local != nil {
		return bridge.Answer{}, false
	}
	ctx, cancel := context.WithDeadline(f.ctx, r.Until)
	defer cancel()
	e, err := s.journal.Find(ctx, f.key, f.c.Taxpayer)
	if f.entry = e; err != nil || next(e, s.facts(f)).move != record {
		return bridge.Answer{}, false
	}
	return s.tellOne(f, &ask{req: r, how: bridge.FromJournal}, e.Outcome), true
}

// read finds the request's upstream, holds it against the rules and resolves its document's id. What ends a call before
// there is anything to carry comes back as an outcome.
func (s *Service) read(t *Terms, r bridge.Request) (*flight, *bridge.Outcome) {
	f := &flight{terms: t, c: bridge.Cancellation{Taxpayer: r.Taxpayer, Ref: r.Ref}, irn: r.IRN, caller: r.Caller, until: r.Until}
	f.ctx, f.span = s.under(r.Context), noSpan
	up, ok := t.Route(r.Taxpayer)
	if !ok {
		why := "no upstream is configured for this taxpayer"
		return f, &bridge.Outcome{Class: bridge.Misconfigured, Message: why, Alarm: why}
	}
	f.up = up
	p := up.Profile()
	var refusal *bridge.Outcome
	f.c, refusal = check(r, p.Rules)
	f.key = bridge.Key{Space: p.Space, Document: f.c.Document}
	if refusal != nil {
		return f, refusal
	}
	if names, ok := up.(bridge.Resolver); ok {
		ctx, cancel := context.WithDeadline(f.ctx, r.Until)
		defer cancel()
		id, o := names.Resolve(ctx, f.c.Document)
		if o.Class == bridge.NotApplied { // nothing is known of the document
			o = bridge.Outcome{Message: bridge.FaultBusy, RetryAfter: o.RetryAfter, Alarm: o.Alarm}
		}
		if o.Class != bridge.None || o.Message != "" {
			return f, &o
		}
		f.c.Document, f.key.Document = id, id
	}
	return f, nil
}

// await starts the document's flight or joins it, and waits for its end or the caller's.
func (s *Service) await(f *flight, a *ask) bridge.Answer {
	over := time.NewTimer(time.Until(a.req.Until))
	defer over.Stop()
	for {
		g, mine := s.takeOff(f, a)
		switch {
		case !mine && (g.c.Taxpayer != f.c.Taxpayer || !g.join(a)):
			select {
			case <-g.done:
				continue
			case <-over.C: // another taxpayer's cancel of the document is in flight: nothing is known of it
				return s.late(f, a, answer(bridge.Outcome{Class: bridge.Unknown, Message: "another cancellation of the document is under way"}, a.req))
			}
		case !mine:
			a.how = bridge.FromJoin
			link(a.req.Context, g)
		}
		select {
		case ans := <-a.told:
			return ans
		case <-over.C:
			if ans, left := g.giveUp(a); left {
				return s.late(g, a, ans)
			}
			return <-a.told
		}
	}
}

// takeOff starts the flight, unless its document is in flight already: then that one comes back. a is who waits for it,
// nil in the background.
func (s *Service) takeOff(f *flight, a *ask) (g *flight, mine bool) {
	f.done = make(chan struct{})
	s.trace(f, a)
	if f.asks = nil; a != nil {
		f.asks = []*ask{a}
	}
	if g, mine = s.flights.enter(f); mine {
		s.work.Add(1) // the call, or the background, is counted already
		s.dispatch(f)
	}
	return g, mine
}

// begin counts one piece of work, unless the Service is closing.
func (s *Service) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shut {
		s.work.Add(1)
	}
	return !s.shut
}

// Start takes up what the last run left behind, in order, and settles in the background until Close. Accepted
// entries are queued again; what was being sent is looked up.
func (s *Service) Start() error {
	if !s.begin() {
		return errClosing
	}
	if err := s.adopt(); err != nil {
		s.work.Done()
		return err
	}
	go s.settle()
	return nil
}

// Close stops: no new calls, what waits its turn stays in the journal, and what is in flight is finished while ctx
// lasts. The journal may be closed afterwards.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.shut {
		s.shut = true
		close(s.quit)
	}
	s.mu.Unlock()
	s.hold(errClosing)
	done := make(chan struct{})
	go func() { s.work.Wait(); close(done) }()
	defer s.stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d cancellations are still in flight; the journal has them, the next start looks them up", s.flights.size())
	}
}

// Load counts documents in flight, and of these those that wait their turn.
func (s *Service) Load() bridge.Load {
	return bridge.Load{InFlight: s.flights.size(), Waiting: s.turns.waiting()}
}
