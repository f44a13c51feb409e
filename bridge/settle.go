package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Settling: doubtful cancellations are looked up until the truth is known, by the caller's own repeat or in the
// background. The background asks; it never sends a cancel that was already sent.

const (
	settleEvery = 2 * time.Second  // how often the background looks for what is due
	settleBatch = 32               // lookups begun in one round
	lookupPause = 2 * time.Second  // between two lookups of one flight
	breakerWait = 30 * time.Second // until a lookup that the breaker stopped is tried again
	strayWait   = time.Hour        // until a taxpayer who has left the configuration is looked for again
)

// Start takes up what the last run left behind, in order, and settles in the background until Close. Accepted
// entries are queued again; what was being sent is Unknown and looked up.
func (s *Service) Start() error {
	if err := s.adopt(); err != nil {
		return err
	}
	if s.begin() {
		go s.settle()
	}
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
	s.hold(errShutdown)
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

// Load is how much the Service has in hand.
type Load struct{ InFlight, Waiting int }

// Load counts documents in flight, and of these those that wait their turn.
func (s *Service) Load() Load { return Load{s.flights.size(), s.lines.waiting()} }

func (s *Service) settle() {
	defer s.work.Done()
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for round := 1; ; round++ {
		select {
		case <-s.quit:
			return
		case <-tick.C:
		}
		s.lookDue()
		if round%5 == 0 { // an instance on the same journal may have died
			if err := s.adopt(); err != nil {
				s.observe.Alarm(Alarm{Kind: AlarmJournal, Text: "can't look for orphaned cancellations: " + err.Error()})
			}
		}
	}
}

// adopt starts a flight for every accepted entry that nobody carries.
func (s *Service) adopt() error {
	ctx, cancel := context.WithTimeout(s.ctx, 6*diskTime)
	defer cancel()
	entries, err := s.journal.Orphans(ctx, time.Now())
	if err != nil {
		return fmt.Errorf("taking up what an earlier run left: %w", err)
	}
	for _, e := range entries {
		s.background(e, func(f *flight) { s.send(f, e, nil, false) })
	}
	return nil
}

func (s *Service) lookDue() {
	ctx, cancel := context.WithTimeout(s.ctx, diskTime)
	defer cancel()
	entries, err := s.journal.Due(ctx, time.Now(), settleBatch)
	if err != nil {
		s.observe.Alarm(Alarm{Kind: AlarmJournal, Text: "can't read which lookups are due: " + err.Error()})
		return
	}
	for _, e := range entries {
		s.background(e, func(f *flight) { s.doubt(f, e) })
	}
}

// background starts a flight that no caller waits for, unless the document is in flight anyway.
func (s *Service) background(e Entry, work func(*flight)) {
	terms := s.terms.Load()
	up, ok := terms.Route(e.Taxpayer)
	if !ok {
		s.stray(e)
		return
	}
	f := &flight{
		key: e.Key, up: up, terms: terms, done: make(chan struct{}),
		c:      Cancellation{Taxpayer: e.Taxpayer, Document: e.Key.Document, Reason: e.Reason, Remarks: e.Remarks, Ref: e.Ref},
		req:    Request{Ref: e.Ref, IRN: e.IRN, Caller: e.Caller, Received: time.Now()},
		resend: e.State == Accepted, until: time.Now().Add(terms.ReplyWithin), promised: e.State == Accepted,
	}
	s.traceAlone(f)
	if !s.begin() {
		return
	}
	if g, mine := s.flights.enter(f); !mine {
		s.work.Done()
		if g.c.Taxpayer != e.Taxpayer {
			s.release(s.ctx, e) // else its flight holds the same lease and knows as much
		}
		return
	}
	go func() {
		defer s.work.Done()
		defer s.flights.leave(f)
		work(f)
		s.ageAlarm(f, e)
	}()
}

// stray puts off an entry whose taxpayer has left the configuration: he may come back, and until then nobody can ask.
func (s *Service) stray(e Entry) {
	now := time.Now()
	a := Alarm{Kind: AlarmMisconfigured, Taxpayer: e.Taxpayer, Key: e.Key, Upstream: e.Upstream, Ref: e.Ref,
		Text: "a cancellation is not settled, but its taxpayer is no longer configured"}
	fin := Finish{Entry: e.ID, At: now, Release: true, State: Open, Outcome: Outcome{Class: Unknown}, NextLookup: now.Add(strayWait)}
	if e.State == Accepted {
		if now.Before(e.Expires) {
			s.release(s.ctx, e)
			return
		}
		a.Kind, a.Text = AlarmExpired, "the cancellation was given up, unsent: its taxpayer is no longer configured"
		fin.State, fin.Outcome, fin.NextLookup = Final, Outcome{Class: NotApplied}, time.Time{}
	}
	ctx, cancel := context.WithTimeout(s.ctx, diskTime)
	defer cancel()
	if _, err := s.journal.Finish(ctx, fin); err != nil {
		a.Kind, a.Text = AlarmJournal, "a cancellation can't be put off: "+err.Error()
	}
	s.observe.Alarm(a)
}

// ageAlarm calls an operator to a cancellation that was doubtful for too long and still is.
func (s *Service) ageAlarm(f *flight, e Entry) {
	age := time.Since(e.FirstSend())
	if e.State != Open || age < alarmAge || e.FirstSend().IsZero() {
		return
	}
	if now, err := s.journal.Find(f.ctx, e.Key, e.Taxpayer); err != nil || now.State != Open {
		return
	}
	s.alarm(f, AlarmOpen, fmt.Sprintf("doubtful for %s: look the document up in the authority's portal and record "+
		"what it shows (journal resolve)", age.Truncate(time.Minute)))
}

// doubt looks a doubtful cancellation up, at most twice, and ends the flight with what is true; "active" lets a
// caller's flight send again.
func (s *Service) doubt(f *flight, e Entry) {
	for try := 1; ; try++ {
		st, err := s.lookup(f, &e)
		switch {
		case errors.Is(err, ErrUnavailable):
			s.conclude(f, Finish{Entry: e.ID, State: Open, NextLookup: time.Now().Add(breakerWait)}, FromUpstream)
			return
		case err == nil && st.Status == StatusCancelled:
			o := e.dated(Outcome{Class: Cancelled, Date: st.Date}, f.up.Profile().Zone, time.Now())
			s.conclude(f, Finish{Entry: e.ID, State: Final, Outcome: o}, FromUpstream)
			return
		case err == nil && st.Status == StatusOther:
			s.conclude(f, Finish{Entry: e.ID, State: Final, Outcome: Outcome{Class: Refused, Message: st.Text}}, FromUpstream)
			return
		case err == nil && st.Status == StatusActive:
			s.active(f, e)
			return
		}
		if !s.askAgain(f, e, try) {
			break
		}
	}
	if f.resend && f.report.Sends == 0 && e.mayResend(time.Now()) {
		s.send(f, e, nil, false)
		return
	}
	s.leaveOpen(f, e, 0, Outcome{})
}

// askAgain pauses before a second lookup, when somebody still waits for it.
func (s *Service) askAgain(f *flight, e Entry, try int) bool {
	if try >= lookupsPerFlight || !time.Now().Add(lookupPause).Before(f.retryUntil(e)) || f.req.Within == 0 { // the background comes back by itself
		return false
	}
	return s.pause(lookupPause)
}

// active goes on from a lookup that found the document not cancelled: right after a doubtful send that is no proof.
func (s *Service) active(f *flight, e Entry) {
	p := f.up.Profile()
	proven := e.provenActive(time.Now(), p.CallTimeout)
	switch {
	case f.resend && f.report.Sends < maxSends && time.Now().Before(f.retryUntil(e)):
		s.send(f, e, nil, false)
	case proven:
		s.conclude(f, Finish{Entry: e.ID, State: Final, Outcome: Outcome{Class: NotApplied}}, FromUpstream)
	default:
		s.leaveOpen(f, e, 0, Outcome{})
	}
}

// lookup asks the authority once. The question and what it brought to light are an attempt of their own; a lookup
// that the breaker stopped leaves no trace.
func (s *Service) lookup(f *flight, e *Entry) (DocumentState, error) {
	start := time.Now()
	st, err := f.lookup()
	took := time.Since(start)
	f.report.Wire += took
	if errors.Is(err, ErrUnavailable) {
		return st, err
	}
	f.report.Lookups++
	o := lookupOutcome(st)
	if err != nil {
		o.Class, o.Message = Unknown, OneLine(err.Error(), 300)
	}
	p := f.up.Profile()
	s.observe.Attempted(AttemptReport{f.c.Ref, p.Name, p.Kind, AskState, o.Class, 0, took})
	s.recordLookup(f, e, o, start)
	return st, err
}

// recordLookup appends the evidence of a lookup. It is written afterwards, unlike a send: a question changes nothing.
func (s *Service) recordLookup(f *flight, e *Entry, o Outcome, start time.Time) {
	ctx, cancel := context.WithTimeout(f.ctx, diskTime)
	defer cancel()
	a, err := s.journal.Attempt(ctx, *e, AskState, start)
	if err != nil {
		s.alarm(f, AlarmJournal, "a lookup can't be written: "+err.Error())
		return
	}
	e.Attempts = append(e.Attempts, a)
	setOutcome(e, a.ID, o)
	s.record(f, e, Finish{
		Entry: e.ID, Attempt: a.ID, Result: o, State: e.State, Outcome: e.Outcome,
		NextLookup: e.nextLookup(time.Now(), f.up.Profile().LookupWindow),
	})
}

// elsewhere waits for another instance to let go of the document; false when the caller's time is over.
func (s *Service) elsewhere(f *flight) bool {
	ctx, cancel := context.WithDeadline(s.sends, f.retryUntil(Entry{}))
	defer cancel()
	_, span := Span(f.ctx, "wait for another instance")
	defer span.End()
	s.journal.Released(ctx, f.key)
	return ctx.Err() == nil
}
