package bridge

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Config is how the Service behaves towards its callers.
type Config struct {
	ReplyWithin         time.Duration // bounds the answer, not the work; 50 s
	CarryOutWithin      time.Duration // how long an accepted cancellation may wait its turn; 30 min
	RepeatRefusalsAfter time.Duration // a refusal is answered from the journal for so long; 60 s
	AlreadyCancelled    AlreadyPolicy
	AlreadyMessage      string       // "nic": NICAlready for every upstream; else the upstream's own text
	Tracer              trace.Tracer // of what no caller waits for; nil: no traces
}

// DefaultConfig is what design and documentation promise when nothing is configured.
func DefaultConfig() Config {
	return Config{
		ReplyWithin: 50 * time.Second, CarryOutWithin: 30 * time.Minute,
		RepeatRefusalsAfter: time.Minute, AlreadyCancelled: AlreadyByJournal,
	}
}

// Service carries cancellations from callers to upstreams, each written down before it leaves.
type Service struct {
	terms    atomic.Pointer[Terms] // of who comes without terms of his own
	journal  Journal
	observe  Observer
	flights  flights
	carriers carriers
	lines    lines

	ctx   context.Context // of all work; ends when the process gives up waiting for it
	stop  context.CancelFunc
	quit  chan struct{} // closed when no new work is begun
	mu    sync.Mutex    // guards shut against wg.Add
	shut  bool
	work  sync.WaitGroup
	sends context.Context // of everything that waits its turn; ends at shutdown
	hold  context.CancelCauseFunc
}

// errShutdown ends the wait of flights that have not been sent; the journal carries them on.
var errShutdown = errors.New("shutting down")

// diskTime bounds one write to the journal; a disk that takes longer counts as broken.
const diskTime = 5 * time.Second

// NewService wires the flow. route finds a taxpayer's upstream.
func NewService(cfg Config, j Journal, b Budget, route func(taxpayer string) (Upstream, bool), o Observer) *Service {
	s := &Service{journal: j, observe: o, quit: make(chan struct{})}
	s.Change(&Terms{cfg, route})
	s.flights.by = map[Key]*flight{}
	s.carriers.next = make(chan *flight)
	s.lines = lines{budget: b, by: map[string]*line{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.sends, s.hold = context.WithCancelCause(s.ctx)
	return s
}

// Cancel is one call of eInvoiceCancel by a caller who may act for the taxpayer: it returns when there is an answer
// or the caller can't be kept longer. The work goes on without him.
func (s *Service) Cancel(r Request) Answer { return s.cancel(r, s.terms.Load()) }

func (s *Service) cancel(r Request, terms *Terms) Answer {
	if r.Within == 0 {
		r.Within = terms.ReplyWithin
	}
	up, ok := terms.Route(r.Taxpayer)
	if !ok {
		return s.tell(r, nil, Key{}, Outcome{Class: Misconfigured, Alarm: "no upstream is configured for this taxpayer"})
	}
	p := up.Profile()
	c, refusal := check(r, p.Rules)
	key := Key{p.Space, c.Document}
	if refusal != nil {
		return s.tell(r, up, key, *refusal)
	}
	return s.await(r, terms, up, c, key)
}

// await starts the document's flight or joins it, and waits for its end or the caller's.
func (s *Service) await(r Request, terms *Terms, up Upstream, c Cancellation, key Key) Answer {
	a := &ask{req: r, deadline: r.Received.Add(r.Within), told: make(chan Answer, 1)}
	timer := time.NewTimer(time.Until(a.deadline))
	defer timer.Stop()
	for {
		f := &flight{key: key, up: up, terms: terms, c: c, req: r, resend: true, done: make(chan struct{})}
		f.asks, f.until, a.how = []*ask{a}, a.deadline, FromUpstream
		s.trace(f)
		if !s.begin() {
			return s.busy(r, up, key)
		}
		g, mine := s.flights.enter(f)
		if mine {
			s.dispatch(f)
		} else {
			s.work.Done()
			a.how = FromJoin
			if g.c.Taxpayer != c.Taxpayer || !g.join(a) {
				select {
				case <-g.done:
					continue
				case <-timer.C: // another taxpayer's cancel of the document is in flight: nothing is known of it
					return s.late(r, up, key, answer(Outcome{Class: Unknown}, r.IRN, r.Ref), a)
				}
			}
			r.link(g)
			f = g
		}
		select {
		case ans := <-a.told:
			return ans
		case <-timer.C:
			if ans, ok := f.giveUp(a); ok {
				return s.late(r, up, key, ans, a)
			}
			return <-a.told
		}
	}
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

// carry takes a flight from the journal's first word on its document to its end.
func (s *Service) carry(f *flight) {
	defer s.work.Done()
	defer s.flights.leave(f)
	if s.straight(f) {
		return
	}
	for {
		e, err := s.journal.Find(f.ctx, f.key, f.c.Taxpayer)
		known := err == nil
		if known && next(e, f.c, time.Now(), f.terms.RepeatRefusalsAfter) == stepAnswer {
			s.replay(f, e)
			return
		}
		if err != nil && !errors.Is(err, ErrNoEntry) {
			s.trouble(f, err)
			return
		}
		free, err := s.lines.free(s.ctx, f.up.Profile())
		if errors.Is(err, errShut) && !known {
			s.end(f, Outcome{Class: Misconfigured}, 0, FromCheck)
			return
		}
		e, created, err := s.open(f, free && !known)
		switch {
		case errors.Is(err, ErrBusy):
			if s.elsewhere(f) {
				continue
			}
			s.end(f, Outcome{Class: Unknown}, 0, FromCheck)
		case err != nil:
			s.trouble(f, err)
		case created && free:
			s.send(f, e, &e.Attempts[0], free)
		case created:
			s.send(f, e, nil, false)
		default:
			s.again(f, e, free)
		}
		return
	}
}

// straight is the way of a cancellation that nothing stands in front of: its document is not asked for first, as writing
// it down tells whether it is new. That is only for upstreams without a budget, where no send can be booked in vain.
// False says that nothing came of it, and that it is to be carried the long way, which knows what to do about that.
func (s *Service) straight(f *flight) bool {
	p := f.up.Profile()
	if p.Cancels.Limit > 0 {
		return false
	}
	if free, err := s.lines.free(s.ctx, p); err != nil || !free {
		return false
	}
	e, created, err := s.open(f, true)
	switch {
	case err != nil:
		return false
	case created:
		s.send(f, e, &e.Attempts[0], true)
	default:
		s.again(f, e, true)
	}
	return true
}

// open writes the cancellation down, or takes the lease of the entry that is there.
func (s *Service) open(f *flight, sendNow bool) (Entry, bool, error) {
	now := time.Now()
	return timed2(&f.report.Journal, func() (Entry, bool, error) {
		return s.journal.Begin(f.ctx, Begin{SendNow: sendNow, Entry: Entry{
			Key: f.key, Taxpayer: f.c.Taxpayer, Upstream: f.up.Profile().Name, Ref: f.c.Ref, Caller: f.req.Caller,
			IRN: f.req.IRN, Reason: f.c.Reason, Remarks: f.c.Remarks, Created: now, Expires: now.Add(f.terms.CarryOutWithin),
		}})
	})
}

// again carries on with an entry that was there before, its lease in our hands. booked says that a send is paid for.
func (s *Service) again(f *flight, e Entry, booked bool) {
	switch next(e, f.c, time.Now(), f.terms.RepeatRefusalsAfter) {
	case stepAnswer: // nobody had looked, or another instance ended it between Find and Begin
		s.replay(f, e)
		s.release(f.ctx, e)
	case stepLookup:
		s.doubt(f, e)
	default:
		s.send(f, e, nil, booked)
	}
}

// send carries the cancellation out: each send a durable attempt of its own, up to three of them. att is the attempt
// that is durable already, if any; booked that its turn has come.
func (s *Service) send(f *flight, e Entry, att *Attempt, booked bool) {
	for {
		if att == nil {
			next, err := s.attempt(f, &e, booked)
			if err != nil {
				s.unsent(f, e, err)
				return
			}
			att = &next
		}
		f.report.Sends++
		o := s.call(f, e, *att)
		setOutcome(&e, att.ID, o)
		wait, again := s.digest(f, &e, *att, o)
		if !again || !s.pause(wait) {
			return
		}
		att, booked = nil, false
	}
}

// attempt waits for its turn and makes the next send durable.
func (s *Service) attempt(f *flight, e *Entry, booked bool) (Attempt, error) {
	w := f.requested(*e)
	if !booked {
		if w.State == Final { // a repeat: it waits as durably as a new one
			w.Expires = time.Now().Add(f.terms.CarryOutWithin)
			queued, err := timed(&f.report.Journal, func() (Entry, error) { return s.journal.Requeue(f.ctx, w) })
			if err != nil {
				return Attempt{}, err
			}
			w, *e = f.requested(queued), queued
		}
		if err := s.turn(f, w); err != nil {
			return Attempt{}, err
		}
	}
	a, err := timed(&f.report.Journal, func() (Attempt, error) {
		return s.journal.Attempt(f.ctx, w, SendCancel, time.Now())
	})
	if err == nil {
		w.State, w.Attempts = Sending, append(w.Attempts, a)
		*e = w
	}
	return a, err
}

// requested is the entry with the request that is being carried out now.
func (f *flight) requested(e Entry) Entry {
	e.Ref, e.IRN, e.Reason, e.Remarks, e.Upstream = f.c.Ref, f.req.IRN, f.c.Reason, f.c.Remarks, f.up.Profile().Name
	if f.req.Caller != "" {
		e.Caller = f.req.Caller
	}
	return e
}

// turn waits until the authority's budget has room, at most until the entry expires. A doubtful one waits only while
// somebody waits for it: it is not carried on from disk, so nobody is told that it has its turn.
func (s *Service) turn(f *flight, e Entry) error {
	until := e.Expires
	if e.State == Open {
		until = f.retryUntil(e)
	} else {
		f.setWaiting(true)
		defer f.setWaiting(false)
	}
	ctx, cancel := context.WithDeadlineCause(s.sends, until, errExpired)
	defer cancel()
	_, span := Span(f.ctx, "wait turn")
	defer span.End()
	_, err := timed(&f.report.Queue, func() (struct{}, error) {
		return struct{}{}, s.lines.wait(ctx, f.up.Profile(), e.ID)
	})
	return err
}

var errExpired = errors.New("not carried out in time")

// call makes the upstream's call. The upstream bounds each of its HTTP calls itself; the caller's deadline doesn't.
func (s *Service) call(f *flight, e Entry, a Attempt) Outcome {
	ctx := WithSendCheck(f.ctx, func(ctx context.Context) error { return s.journal.MaySend(ctx, e) })
	c := f.c
	c.Doubtful = e.mayBeOurs(a.ID)
	start := time.Now()
	o := f.cancel(ctx, c)
	took := time.Since(start)
	f.report.Wire += took
	p := f.up.Profile()
	s.observe.Attempted(AttemptReport{f.c.Ref, p.Name, p.Kind, SendCancel, o.Class, o.HTTPStatus, took})
	if o.Alarm != "" {
		kind := AlarmUpstream
		if o.Class == Misconfigured {
			kind = AlarmMisconfigured
		}
		s.alarm(f, kind, o.Alarm)
	}
	return o
}

// digest records what a send brought to light and ends the flight, or says that it is to be sent again after wait.
func (s *Service) digest(f *flight, e *Entry, a Attempt, o Outcome) (wait time.Duration, again bool) {
	fin := Finish{Entry: e.ID, Attempt: a.ID, Result: o, State: Final, Outcome: o}
	switch o.Class {
	case Cancelled:
		fin.Outcome = e.dated(o, f.up.Profile().Zone, a.Start)
	case AlreadyCancelled:
		fin.Outcome = s.already(f, e, a, o)
	case NotApplied:
		if wait, again = s.mayRetry(f, *e, o); again {
			fin.State = Accepted
			if e.mayBeOurs(0) {
				fin.State, fin.NextLookup = Open, e.nextLookup(time.Now(), f.up.Profile().LookupWindow)
			}
			s.record(f, e, fin)
			return wait, true
		}
		if e.mayBeOurs(0) { // this send came to nothing, an earlier one may not have
			s.leaveOpen(f, *e, a.ID, o)
			return 0, false
		}
	case Unknown:
		fin.State, fin.NextLookup = Open, e.nextLookup(time.Now(), f.up.Profile().LookupWindow)
		s.record(f, e, fin)
		s.doubt(f, *e)
		return 0, false
	}
	s.conclude(f, fin, FromUpstream)
	return 0, false
}

// mayRetry gives the pause before the next send after NotApplied: what the authority asked for, else 1 s then 3 s
// with full jitter. Never beyond the deadline.
func (s *Service) mayRetry(f *flight, e Entry, o Outcome) (time.Duration, bool) {
	if f.report.Sends >= maxSends {
		return 0, false
	}
	wait := o.RetryAfter
	if wait == 0 {
		wait = rand.N([...]time.Duration{time.Second, 3 * time.Second}[min(f.report.Sends, 2)-1]) + 1
	}
	return wait, time.Now().Add(wait).Before(f.retryUntil(e))
}

// already applies the policy for a document that the authority calls cancelled: ours, or its no.
func (s *Service) already(f *flight, e *Entry, a Attempt, o Outcome) Outcome {
	ours := f.terms.AlreadyCancelled == AlreadySuccess ||
		f.terms.AlreadyCancelled != AlreadyRefuse && e.mayBeOurs(a.ID)
	if !ours {
		o.Class = Refused
		if f.terms.AlreadyMessage == "nic" {
			o.Message = NICAlready
		}
		return o
	}
	if o.Date == "" {
		if st, err := s.lookup(f, e); err == nil && st.Status == StatusCancelled {
			o.Date = st.Date
		}
	}
	o.Class, o.Message = Cancelled, ""
	return e.dated(o, f.up.Profile().Zone, a.Start)
}

// pause sleeps between sends; false when the Service is closing, then the journal carries the rest.
func (s *Service) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.sends.Done():
		return true // the next turn ends at once with errShutdown and tells everybody
	}
}
