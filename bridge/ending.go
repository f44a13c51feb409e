package bridge

import (
	"context"
	"errors"
	"time"
)

// How flights end and callers are told: every end is durable before anyone hears it.

// conclude writes the end of a flight down, in one commit with what everybody who waits is told, and lets them go.
// While the disk refuses, it tries again: callers whose time runs out are told Unknown, and the document stays in
// flight here until the outcome is on disk.
func (s *Service) conclude(f *flight, fin Finish, how How) {
	fin.Release = true
	for delay := 50 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
		if s.finish(f, fin, how) {
			return
		}
		select {
		case <-time.After(delay):
		case <-s.ctx.Done():
			return // the row stays as it is; the next start looks it up
		}
	}
}

func (s *Service) finish(f *flight, fin Finish, how How) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	fin.At = time.Now()
	o := fin.Outcome
	if fin.State == Open {
		o = Outcome{Class: Unknown}
		fin.Outcome = o
	}
	answers := f.answers(o, how)
	fin.Asks = f.records(fin.Entry, answers, fin.At)
	ctx, cancel := context.WithTimeout(f.ctx, diskTime)
	defer cancel()
	e, err := timed(&f.report.Journal, func() (Entry, error) { return s.journal.Finish(ctx, fin) })
	if err != nil {
		s.alarm(f, AlarmJournal, "an outcome can't be written: "+err.Error())
		return false
	}
	if e.Outcome.Class == Cancelled && o.Class != Cancelled { // late truth had won already
		o = e.Outcome
		answers = f.answers(o, FromJournal)
		s.retell(f, answers, fin)
	}
	s.letGo(f, answers, o)
	return true
}

// retell corrects what the journal says callers were told, when they are told something better.
func (s *Service) retell(f *flight, answers []Answer, fin Finish) {
	ctx, cancel := context.WithTimeout(f.ctx, diskTime)
	defer cancel()
	if err := s.journal.Tell(ctx, f.records(fin.Entry, answers, fin.At)...); err != nil {
		s.alarm(f, AlarmJournal, "what callers were told can't be written: "+err.Error())
	}
}

// answers words the outcome for everyone who waits. The caller holds f.mu.
func (f *flight) answers(o Outcome, how How) []Answer {
	all := make([]Answer, len(f.asks))
	for i, a := range f.asks {
		all[i] = answer(o, a.req.IRN, a.req.Ref)
		if a.how == FromUpstream {
			a.how = how
		}
	}
	return all
}

// records is what the journal keeps of answers. The caller holds f.mu.
func (f *flight) records(entry int64, answers []Answer, now time.Time) []Ask {
	all := make([]Ask, len(f.asks))
	for i, a := range f.asks {
		all[i] = a.record(f.key, entry, f.c.Taxpayer, answers[i], now)
	}
	return all
}

// letGo ends the flight for everyone who waits. The caller holds f.mu.
func (s *Service) letGo(f *flight, answers []Answer, o Outcome) {
	f.over = true
	classify(f.span, o.Class)
	for i, a := range f.asks {
		s.answered(f, a, answers[i], o)
		a.told <- answers[i]
	}
	f.asks = nil
}

// end tells everyone an outcome that no attempt stands behind: replays, shut gates, trouble of our own.
func (s *Service) end(f *flight, o Outcome, entry int64, how How) {
	f.mu.Lock()
	defer f.mu.Unlock()
	answers := f.answers(o, how)
	if o.Class == None {
		for i := range answers {
			answers[i] = Answer{Fault: o.Message, Ref: answers[i].Ref, RetryAfter: o.RetryAfter}
		}
	}
	ctx, cancel := context.WithTimeout(f.ctx, diskTime)
	defer cancel()
	_, err := timed(&f.report.Journal, func() (struct{}, error) {
		return struct{}{}, s.journal.Tell(ctx, f.records(entry, answers, time.Now())...)
	})
	if err != nil {
		s.alarm(f, AlarmJournal, "what callers were told can't be written: "+err.Error())
	}
	s.letGo(f, answers, o)
}

// replay answers what is recorded.
func (s *Service) replay(f *flight, e Entry) { s.end(f, e.Outcome, e.ID, FromJournal) }

// trouble tells everyone that we can't: nothing of this flight has been sent.
func (s *Service) trouble(f *flight, err error) {
	s.alarm(f, AlarmJournal, "a cancellation can't be written down and was not sent: "+err.Error())
	s.end(f, Outcome{Message: FaultBusy, RetryAfter: 5 * time.Second}, 0, FromCheck)
}

// unsent ends a flight whose next send did not come about.
func (s *Service) unsent(f *flight, e Entry, err error) {
	switch {
	case e.mayBeOurs(0) && !errors.Is(err, ErrNotWaiting):
		s.leaveOpen(f, e, 0, Outcome{})
	case errors.Is(err, errShutdown): // accepted in the journal: the next start carries it on
		s.end(f, Outcome{Message: FaultWaiting}, e.ID, FromCheck)
		s.release(f.ctx, e)
	case errors.Is(err, errExpired):
		s.alarm(f, AlarmExpired, "the cancellation waited its turn for too long and was given up, unsent")
		s.conclude(f, Finish{Entry: e.ID, State: Final, Outcome: Outcome{Class: NotApplied}}, FromCheck)
	case errors.Is(err, errShut):
		s.conclude(f, Finish{Entry: e.ID, State: Final, Outcome: Outcome{Class: Misconfigured}}, FromCheck)
	case errors.Is(err, ErrNotWaiting): // an operator withdrew or resolved it; the journal says how it ended
		s.ended(f, e)
	case errors.Is(err, ErrLostLease): // another instance has it now
		s.end(f, Outcome{Class: Unknown}, e.ID, FromCheck)
	case e.State == Accepted: // on disk and unsent: it will be carried out, so "not cancelled" would be untrue
		s.alarm(f, AlarmJournal, "an attempt can't be written down and was not sent: "+err.Error())
		s.end(f, Outcome{Message: FaultWaiting}, e.ID, FromCheck)
		s.release(f.ctx, e)
	default:
		s.trouble(f, err)
		s.release(f.ctx, e)
	}
}

// ended answers what the journal holds of an entry that ended without this flight.
func (s *Service) ended(f *flight, e Entry) {
	now, err := s.journal.Find(f.ctx, e.Key, e.Taxpayer)
	switch {
	case err != nil:
		s.trouble(f, err)
	case now.State == Final:
		s.replay(f, now)
	default:
		s.end(f, Outcome{Class: Unknown}, e.ID, FromJournal)
	}
	s.release(f.ctx, e)
}

// leaveOpen ends a flight in doubt: the background goes on looking.
func (s *Service) leaveOpen(f *flight, e Entry, attempt int64, result Outcome) {
	s.conclude(f, Finish{
		Entry: e.ID, Attempt: attempt, Result: result, State: Open,
		NextLookup: e.nextLookup(time.Now(), f.up.Profile().LookupWindow),
	}, FromUpstream)
}

// record appends evidence in the middle of a flight. When it can't, the flight goes on: the attempt itself is on
// disk, and the end of the flight is retried until it is too.
func (s *Service) record(f *flight, e *Entry, fin Finish) {
	fin.At = time.Now()
	ctx, cancel := context.WithTimeout(f.ctx, diskTime)
	defer cancel()
	got, err := timed(&f.report.Journal, func() (Entry, error) { return s.journal.Finish(ctx, fin) })
	if err != nil {
		s.alarm(f, AlarmJournal, "evidence can't be written: "+err.Error())
		return
	}
	*e = got
}

// release gives a lease back without evidence.
func (s *Service) release(ctx context.Context, e Entry) {
	ctx, cancel := context.WithTimeout(ctx, diskTime)
	defer cancel()
	if err := s.journal.Release(ctx, e); err != nil {
		s.observe.Alarm(Alarm{Kind: AlarmJournal, Key: e.Key, Taxpayer: e.Taxpayer, Upstream: e.Upstream,
			Text: "a lease can't be given back; it ends by itself: " + err.Error()})
	}
}

// tell answers a caller who never came to a flight: a broken rule, no upstream.
func (s *Service) tell(r Request, up Upstream, key Key, o Outcome) Answer {
	f := &flight{key: key, up: up, c: Cancellation{Taxpayer: r.Taxpayer, Ref: r.Ref}, req: r, ctx: s.under(r.Span), span: noSpan}
	if o.Alarm != "" {
		s.alarm(f, AlarmMisconfigured, o.Alarm)
	}
	a := &ask{req: r, how: FromCheck, told: make(chan Answer, 1)}
	f.asks = []*ask{a}
	s.end(f, o, 0, FromCheck)
	return <-a.told
}

// late tells a caller whose time is over; the work goes on.
func (s *Service) late(r Request, up Upstream, key Key, ans Answer, a *ask) Answer {
	f := &flight{key: key, up: up, c: Cancellation{Taxpayer: r.Taxpayer, Ref: r.Ref}}
	ctx, cancel := context.WithTimeout(s.under(r.Span), diskTime)
	defer cancel()
	if err := s.journal.Tell(ctx, a.record(key, 0, r.Taxpayer, ans, time.Now())); err != nil {
		s.alarm(f, AlarmJournal, "what a caller was told can't be written: "+err.Error())
	}
	s.answered(f, a, ans, Outcome{Class: ans.Class})
	return ans
}

// busy turns a caller away while the Service is closing.
func (s *Service) busy(r Request, up Upstream, key Key) Answer {
	return s.tell(r, up, key, Outcome{Message: FaultBusy, RetryAfter: 5 * time.Second})
}

// answered reports one answered call.
func (s *Service) answered(f *flight, a *ask, ans Answer, o Outcome) {
	r := f.report
	r.Span = a.req.Span
	r.Ref, r.Caller, r.Taxpayer, r.Key = a.req.Ref, a.req.Caller, a.req.Taxpayer, f.key
	r.Answer, r.How, r.Code, r.DateSource = ans, a.how, o.Code, o.DateSource
	r.UpstreamRef, r.Unclassified = o.UpstreamRef, o.Unclassified
	if f.up != nil {
		r.Upstream = f.up.Profile().Name
	}
	r.Took = time.Since(a.req.Received)
	s.observe.Answered(r)
}

func (s *Service) alarm(f *flight, kind AlarmKind, text string) {
	a := Alarm{Kind: kind, Taxpayer: f.c.Taxpayer, Key: f.key, Ref: f.c.Ref, Text: text}
	if f.up != nil {
		a.Upstream = f.up.Profile().Name
	}
	s.observe.Alarm(a)
}

// timed runs f and adds what it took to d.
func timed[T any](d *time.Duration, f func() (T, error)) (T, error) {
	start := time.Now()
	v, err := f()
	*d += time.Since(start)
	return v, err
}

func timed2[T, U any](d *time.Duration, f func() (T, U, error)) (T, U, error) {
	start := time.Now()
	v, w, err := f()
	*d += time.Since(start)
	return v, w, err
}

// setOutcome completes the attempt in our copy of the entry, so that the table in decide.go sees it.
func setOutcome(e *Entry, attempt int64, o Outcome) {
	for i := range e.Attempts {
		if e.Attempts[i].ID == attempt {
			e.Attempts[i].Outcome, e.Attempts[i].End = o, time.Now()
		}
	}
}
