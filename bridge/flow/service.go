package flow

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge"
)

// Service carries cancellations from callers to upstreams. It is safe for concurrent use.
type Service struct {
	terms   atomic.Pointer[Terms] // of work that no call stands behind
	journal bridge.Journal
	observe bridge.Observer
	clock   func() time.Time // the wall clock but for its steps back, by which the record goes
	jitter  func(time.Duration) time.Duration
	flights flights
	turns   turns
	quiet   quiet
	ink     ink
	strays  map[int64]time.Time // when an operator was called, by entry; the background's own

	ctx   context.Context // of all work; ends when the process gives up waiting for it
	stop  context.CancelFunc
	work  tally
	waits context.Context // of everything that waits; ends when the process begins to stop
	hold  context.CancelCauseFunc
}

// errClosing ends the waits of flights; the record carries them on.
var errClosing = errors.New("shutting down")

// diskTime bounds one write to the journal; a disk that takes longer counts as broken.
const diskTime = 5 * time.Second

// New wires the flow.
func New(j bridge.Journal, b bridge.Budget, o bridge.Observer, t *Terms) *Service {
	s := &Service{journal: j, observe: o, clock: steady(j.Now), jitter: rand.N[time.Duration], work: tally{closing: make(chan struct{}), done: make(chan struct{})}, strays: map[int64]time.Time{}}
	s.Change(t)
	s.ink.by = map[string]*well{}
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
//
// The request is the Service's from then on. It goes by its address, like everything on the way to where a caller waits:
// what stands on his stack is there a thousand times when a thousand wait.
func (s *Service) Cancel(t *Terms, r *bridge.Request) bridge.Answer {
	defer s.work.end()
	if !s.work.begin() {
		return s.turnAway(t, r)
	}
	r.SOAPIn = s.ink.envelope(r.Caller, r.SOAPIn)
	f := &flight{until: r.Until}
	local := s.read(t, r, &f.matter)
	if local == nil {
		local = s.resolve(&f.matter, r)
	}
	if local != nil {
		return s.refuse(&f.matter, r, local)
	}
	return s.await(f, newAsk(r, bridge.FromUpstream))
}

// turnAway answers while the Service is closing.
func (s *Service) turnAway(t *Terms, r *bridge.Request) bridge.Answer {
	ans, known := s.Recall(t, r)
	if !known {
		ans = busy.answer(r, errClosing.Error())
		s.answered(&matter{}, &bridge.CallReport{}, newAsk(r, bridge.FromCheck), bridge.FromCheck, &ans, &bridge.Outcome{})
	}
	return ans
}

// Recall answers from the record alone, when no new work is taken: nobody is asked for a document's other names. ok is
// false when the answer is not on record.
func (s *Service) Recall(t *Terms, r *bridge.Request) (ans bridge.Answer, ok bool) {
	r.SOAPIn = s.ink.envelope(r.Caller, r.SOAPIn)
	f := &flight{until: r.Until}
	if s.read(t, r, &f.matter) != nil {
		return bridge.Answer{}, false
	}
	ctx, cancel := context.WithDeadline(f.ctx, r.Until)
	defer cancel()
	e, err := s.journal.Find(ctx, f.key, f.c.Taxpayer)
	f.entry = e
	if err != nil {
		return bridge.Answer{}, false
	}
	known := s.facts(f)
	st := next(&e, &known)
	if st.move != recall {
		return bridge.Answer{}, false
	}
	return s.tellOne(&f.matter, newAsk(r, bridge.FromJournal), &st), true
}

// read finds the request's upstream and holds it against the rules. What ends a call before there is anything to carry
// comes back as a step.
func (s *Service) read(t *Terms, r *bridge.Request, m *matter) *step {
	m.terms, m.irn, m.caller, m.ctx = t, r.IRN, r.Caller, s.under(r.Context)
	m.c.Taxpayer, m.c.Ref = r.Taxpayer, r.Ref
	up, ok := t.Route(r.Taxpayer)
	if !ok {
		why := "no upstream is configured for this taxpayer"
		return &step{move: fail, outcome: bridge.Outcome{Class: bridge.Misconfigured, Message: why, Alarm: why}}
	}
	m.up = up
	c, refusal := check(r, up.Profile().Rules)
	m.c, m.key = c, bridge.Key{Space: up.Profile().Space, Document: c.Document}
	if refusal != nil {
		return &step{move: fail, outcome: *refusal}
	}
	return nil
}

// Check is what a call would be refused with before anything is asked or written down; "" when it would be carried out.
func (s *Service) Check(t *Terms, r bridge.Request) string {
	if local := s.read(t, &r, new(matter)); local != nil {
		return local.outcome.Message
	}
	return ""
}

// resolve replaces another name of the document by the authority's own id, where callers use others. A name that is on
// record as a document in doubt, or cancelled, is taken for it: the answer must be there when nobody can be asked, and
// records of before ids were resolved go by such names.
func (s *Service) resolve(m *matter, r *bridge.Request) *step {
	names, ok := m.up.(bridge.Resolver)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithDeadline(m.ctx, r.Until)
	defer cancel()
	if e, err := s.journal.Find(ctx, m.key, m.c.Taxpayer); err == nil && (e.State != bridge.Final || e.Outcome.Class == bridge.Cancelled) {
		return nil
	}
	id, o := s.ask(ctx, names, m.c.Document)
	switch o.Class {
	case bridge.None:
		m.c.Document, m.key.Document = id, id
		return nil
	case bridge.NotApplied: // nothing is known of the document, so nothing is said of it
		return &step{move: fail, fault: bridge.FaultBusy, outcome: o}
	}
	return &step{move: fail, outcome: o}
}

// ask is Resolve for a caller who does not wait beyond his time: an adapter may still have something to write down when its
// question is over.
func (s *Service) ask(ctx context.Context, names bridge.Resolver, document string) (id string, o bridge.Outcome) {
	answered := make(chan struct{})
	var got struct {
		id string
		o  bridge.Outcome
	}
	s.work.begin()
	go func() {
		defer s.work.end()
		defer close(answered)
		got.id, got.o = names.Resolve(ctx, document)
	}()
	select {
	case <-answered:
		return got.id, got.o
	case <-ctx.Done():
		return "", bridge.Outcome{Class: bridge.NotApplied, Message: "nobody could say in time which document " + document + " is"}
	}
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
				f.ctx = s.under(a.req.Context)
				return s.late(&f.matter, a, unknown.answer(a.req, "another cancellation of the document is under way"))
			}
		case !mine:
			link(a.req.Context, g)
		}
		select {
		case ans := <-a.told:
			return *ans
		case <-over.C:
			if ans, left := g.giveUp(a); left {
				return s.late(&g.matter, a, ans)
			}
			return *<-a.told
		}
	}
}

// takeOff starts the flight, unless its document is in flight already: then that one comes back. a is who waits for it,
// nil in the background.
func (s *Service) takeOff(f *flight, a *ask) (g *flight, mine bool) {
	f.done = make(chan struct{})
	s.trace(f, a)
	if a != nil {
		f.asks = []*ask{a}
	}
	if g, mine = s.flights.enter(f); mine {
		s.work.begin()
		if a != nil && a.req.Carried != nil {
			f.ended = a.req.Carried()
		}
		s.dispatch(f)
	}
	return g, mine
}

// Start takes up what the last run left behind, in order, and settles in the background until Close. Accepted
// entries are queued again; what was being sent is looked up.
func (s *Service) Start() error {
	if err := s.adopt(); err != nil {
		return err
	}
	s.work.begin()
	go s.settle()
	return nil
}

// Close stops: no new calls, what waits its turn stays in the journal, and what is in flight is finished while ctx
// lasts. The journal may be closed afterwards.
func (s *Service) Close(ctx context.Context) error {
	s.work.close()
	s.hold(errClosing)
	defer s.stop()
	select {
	case <-s.work.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d cancellations are still in flight; the journal has them, the next start looks them up", s.flights.size())
	}
}

// Load counts documents in flight, and of these those that wait their turn.
func (s *Service) Load() bridge.Load {
	return bridge.Load{InFlight: s.flights.size(), Waiting: s.turns.waiting()}
}
