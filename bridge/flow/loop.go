package flow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// carry takes a flight from the record's first word on its document to its end.
func (s *Service) carry(f *flight) {
	defer s.work.end()
	defer s.flights.leave(f)
	defer s.giveBooking(f)
	if f.entry.ID == 0 && !s.leavesAtOnce(f) {
		s.find(f)
	}
	for {
		f.begun = f.begun || f.held && f.entry.State != bridge.Final
		known := s.facts(f)
		f.step = next(&f.entry, &known)
		switch f.step.move {
		case take:
			s.take(f)
		case queue:
			s.queue(f)
		case send:
			s.send(f)
		case look:
			s.look(f)
		case pause:
			s.pause(f)
		default:
			s.land(f)
			if f.telling.how != "" {
				s.letGo(f)
				s.afterwards(f)
			}
			return
		}
	}
}

// facts are the flight's as of now.
func (s *Service) facts(f *flight) facts {
	now := s.clock()
	return facts{
		progress: f.progress, now: now, errand: f.errand, asked: &f.c, terms: f.terms, profile: f.up.Profile(),
		left: f.left(now), ripens: settling - s.quiet.of(f.entry.ID, weigh(f.entry.Attempts).risk),
	}
}

// leavesAtOnce tells whether nothing stands in front of the cancellation. Then its document is not asked for first: writing
// it down tells whether it is new. That is only for upstreams without a rate, where no send can be booked in vain.
func (s *Service) leavesAtOnce(f *flight) bool {
	p := f.up.Profile()
	if p.Cancels.Limit > 0 {
		return false
	}
	_, free, err := s.turns.free(s.ctx, p, f.patience())
	f.booked = free && err == nil
	return f.booked
}

// find reads what is on record.
func (s *Service) find(f *flight) {
	err := s.journaled(f, "journal find", func(ctx context.Context) (err error) {
		f.entry, err = s.journal.Find(ctx, f.key, f.c.Taxpayer)
		return err
	})
	if err != nil && !errors.Is(err, bridge.ErrNoEntry) {
		s.breaks(f, "the record can't be read", err)
	}
}

// peek reads what is on record of a cancellation that was to be written down unread: a disk that can't be written may be
// readable, and who only repeats what has ended is told that.
func (s *Service) peek(f *flight) {
	if f.entry.ID != 0 {
		return
	}
	ctx, cancel := context.WithTimeout(f.ctx, time.Second)
	defer cancel()
	if e, err := s.journal.Find(ctx, f.key, f.c.Taxpayer); err == nil {
		f.entry = e
	}
}

// take writes the cancellation down, with its first attempt when that may leave at once, or takes the lease of the entry
// that is there. While somebody else has the lease it waits for him.
func (s *Service) take(f *flight) {
	if f.entry.ID == 0 && !f.booked {
		if s.book(f); f.obstacle != noObstacle {
			return
		}
	}
	now := s.clock()
	b := bridge.Begin{SendNow: f.booked && f.entry.ID == 0, Entry: bridge.Entry{
		Key: f.key, Taxpayer: f.c.Taxpayer, Upstream: f.up.Profile().Name, Ref: f.c.Ref, Caller: f.caller, IRN: f.irn,
		Reason: f.c.Reason, Remarks: f.c.Remarks, Created: now, Expires: now.Add(f.terms.CarryOutWithin),
	}}
	var (
		e       bridge.Entry
		created bool
	)
	err := s.journaled(f, "journal begin", func(ctx context.Context) (err error) {
		e, created, err = s.journal.Begin(ctx, b)
		return err
	})
	if !created || err != nil {
		s.giveBooking(f) // what comes next may be no send, or a late one
	}
	switch {
	case errors.Is(err, bridge.ErrBusy):
		if s.awaitRelease(f) {
			s.find(f)
		}
	case err != nil:
		s.breaks(f, "a cancellation can't be written down and was not sent", err)
		s.peek(f)
	default:
		f.entry, f.held, f.armed = e, true, created && b.SendNow
	}
}

// awaitRelease waits for somebody else to let go of the document; false when there is no time left.
func (s *Service) awaitRelease(f *flight) bool {
	ctx, cancel := context.WithTimeout(s.waits, f.left(s.clock()))
	defer cancel()
	_, span := beginSpan(f.ctx, "wait for another instance")
	defer span.End()
	s.journal.AwaitRelease(ctx, f.key)
	switch {
	case s.waits.Err() != nil:
		f.stopped(closing, errClosing.Error())
	case ctx.Err() != nil:
		f.stopped(overdue, "another instance is busy with the document")
	}
	return ctx.Err() == nil
}

// book books the flight's send if it may leave at once.
func (s *Service) book(f *flight) {
	booking, free, err := s.turns.free(f.ctx, f.up.Profile(), f.patience())
	switch {
	case errors.As(err, new(*shutError)):
		f.stopped(gateShut, err.Error())
	case err != nil:
		s.breaks(f, "the authority's rate can't be read", err)
	default:
		f.booked, f.booking = free, booking
	}
}

// giveBooking gives back a booking under which nothing was sent.
func (s *Service) giveBooking(f *flight) {
	if f.booked && !f.booking.IsZero() {
		s.turns.giveBack(f.up.Profile().Cancels, f.booking)
	}
	f.booked, f.booking = false, time.Time{}
}

// queue waits until the authority's rate has room, at most until the entry expires; a repeat of an ended one waits as
// durably as a new one. A doubtful one waits only while somebody waits for it: it is not carried on with from the record,
// so nobody is told that it has its turn.
func (s *Service) queue(f *flight) {
	s.save(f)
	if s.book(f); f.booked || f.obstacle != noObstacle || f.entry.State == bridge.Final && !s.requeue(f) {
		return
	}
	limit, over := f.left(s.clock()), overdue
	if f.entry.State == bridge.Accepted {
		limit, over = f.expires(s.clock()), expired
		f.setWaiting(true)
		defer f.setWaiting(false)
	}
	ctx, cancel := context.WithTimeout(s.waits, limit)
	defer cancel()
	_, span := beginSpan(f.ctx, "wait turn")
	defer span.End()
	start := time.Now()
	booking, err := s.turns.wait(ctx, f.up.Profile(), f.entry.ID)
	f.report.Queue += time.Since(start)
	switch {
	case err == nil:
		f.booked, f.booking = true, booking
	case s.waits.Err() != nil:
		f.stopped(closing, errClosing.Error())
	case errors.As(err, new(*shutError)):
		f.stopped(gateShut, err.Error())
	case ctx.Err() != nil:
		f.stopped(over, "it waited its turn at the authority for too long")
	default:
		s.breaks(f, "the authority's rate can't be read", err)
	}
}

// requeue puts an ended entry back to waiting.
func (s *Service) requeue(f *flight) bool {
	w := f.requested()
	w.Expires = s.clock().Add(f.terms.CarryOutWithin)
	err := s.journaled(f, "journal requeue", func(ctx context.Context) (err error) {
		w, err = s.journal.Requeue(ctx, w)
		return err
	})
	if err != nil {
		s.outrun(f, "a repeat can't be written down and was not sent", err)
		return false
	}
	f.entry = w
	return true
}

// requested is the entry with the request that is being carried out now.
func (f *flight) requested() bridge.Entry {
	e := f.entry
	e.Ref, e.IRN, e.Reason, e.Remarks, e.Upstream = f.c.Ref, f.irn, f.c.Reason, f.c.Remarks, f.up.Profile().Name
	if f.caller != "" {
		e.Caller = f.caller
	}
	return e
}

// send makes the next attempt durable, unless that is done already, and sends it. The upstream bounds its HTTP calls
// itself; callers' deadlines don't.
func (s *Service) send(f *flight) {
	if !f.armed && !s.arm(f) {
		return
	}
	a := &f.entry.Attempts[len(f.entry.Attempts)-1]
	o := &a.Outcome
	ctx, span := beginSpan(f.ctx, "send")
	start := time.Now()
	*o = f.up.Cancel(ctx, f.c, func(ctx context.Context) error { return s.journal.MaySend(ctx, &f.entry) })
	took := time.Since(start)
	classify(span, o.Class)
	span.End()
	a.End = s.clock()
	f.unsaved.Entry, f.unsaved.Attempt, f.unsaved.Result = f.entry.ID, a.ID, *o
	if !o.Sent {
		s.giveBooking(f)
	} else {
		f.report.Sends++
	}
	f.report.Wire += took
	f.tries, f.looks, f.barred, f.rested = f.tries+1, 0, false, false
	f.armed, f.booked, f.booking = false, false, time.Time{}
	if w := weigh(f.entry.Attempts); w.risk == a.ID && !w.strict {
		s.quiet.seen(f.entry.ID, w.risk) // it was answered, so it is not on its way any more
	}
	s.attempted(f, bridge.SendCancel, o, o.Sent, took)
	if o.Alarm != "" {
		kind := bridge.AlarmUpstream
		if o.Class == bridge.Misconfigured {
			kind = bridge.AlarmMisconfigured
		}
		s.alarm(&f.matter, kind, o.Alarm)
	}
}

// attempted reports a send, or a lookup.
func (s *Service) attempted(f *flight, kind bridge.AttemptKind, o *bridge.Outcome, sent bool, took time.Duration) {
	p := f.up.Profile()
	s.observe.Attempted(bridge.AttemptReport{Ref: f.c.Ref, Upstream: p.Name, Kind: p.Kind, Attempt: kind,
		Class: o.Class, Sent: sent, HTTPStatus: o.HTTPStatus, Took: took})
}

// arm makes an attempt durable.
func (s *Service) arm(f *flight) bool {
	s.save(f)
	w := f.requested()
	var a bridge.Attempt
	err := s.journaled(f, "journal attempt", func(ctx context.Context) (err error) {
		a, err = s.journal.Attempt(ctx, w, s.clock())
		return err
	})
	if err != nil {
		s.giveBooking(f)
		s.outrun(f, "an attempt can't be written down and was not sent", err)
		return false
	}
	w.State, w.Attempts = bridge.Sending, append(slices.Clip(w.Attempts), a)
	f.entry = w
	return true
}

// outrun finds out who was faster when a write was not allowed: an operator who ended the entry, or another instance
// that has its lease now. Other errors are the journal's.
func (s *Service) outrun(f *flight, what string, err error) {
	switch {
	case errors.Is(err, bridge.ErrNotWaiting):
		f.begun = true
		s.find(f)
	case errors.Is(err, bridge.ErrLostLease):
		f.begun, f.held = true, false
		s.find(f)
	default:
		s.breaks(f, what, err)
	}
}

// look asks the authority what it holds for the document. What it says is evidence; a question that was not tried leaves
// no trace.
func (s *Service) look(f *flight) {
	if f.entry.State == bridge.Final { // ended in doubt, as it once could: it is open again
		if !s.requeue(f) {
			return
		}
		f.unsaved.Entry = f.entry.ID
	}
	s.save(f)
	ctx, span := beginSpan(f.ctx, "lookup")
	at, start := s.clock(), time.Now()
	state, err := f.up.Lookup(ctx, f.c)
	took := time.Since(start)
	f.report.Wire += took
	o := lookOutcome(state)
	if err != nil {
		o.Class, o.Message = bridge.Unknown, bridge.OneLine(err.Error(), 300)
	}
	classify(span, o.Class)
	span.End()
	f.rested, f.trouble = false, o.Message
	if f.barred = errors.Is(err, bridge.ErrUnavailable); f.barred {
		return
	}
	p := f.up.Profile()
	if o.Class == bridge.NotApplied || o.Class == bridge.Refused {
		w, need := weigh(f.entry.Attempts), settling
		if w.strict { // at the first look it may still have been on its way
			need += p.CallTimeout
		}
		o.Proof = s.quiet.seen(f.entry.ID, w.risk) >= need
	}
	a := bridge.Attempt{Kind: bridge.AskState, Start: at, End: s.clock(), Outcome: o, Upstream: p.Name}
	f.entry.Attempts = append(slices.Clip(f.entry.Attempts), a)
	f.unsaved.Entry, f.unsaved.Look = f.entry.ID, &a
	f.looks++
	f.report.Lookups++
	s.attempted(f, bridge.AskState, &o, true, took)
}

// pause sleeps between two sends or lookups.
func (s *Service) pause(f *flight) {
	s.save(f)
	st := &f.step
	if st.jitter {
		st.wait += s.jitter(st.wait / 2)
	}
	t := time.NewTimer(st.wait)
	defer t.Stop()
	select {
	case <-t.C:
		f.rested = true
	case <-s.waits.Done():
		f.stopped(closing, errClosing.Error())
	}
}

// save writes down what was learnt in the middle of a flight. When it can't, the flight goes on: the attempt itself is on
// record, and the flight's end is tried again until it is, too.
func (s *Service) save(f *flight) {
	if f.unsaved.Entry == 0 {
		return
	}
	fin := f.unsaved
	w := weigh(f.entry.Attempts)
	fin.State, fin.At = bridge.Accepted, s.clock()
	if w.doubt || w.sent.Outcome.Class != bridge.NotApplied {
		known := s.facts(f)
		fin.State, fin.NextLookup = bridge.Open, leaving(&f.entry, &w, &known).nextLook
		fin.Outcome = bridge.Outcome{Class: bridge.Unknown, Message: whyDoubtful(&w)}
	}
	var e bridge.Entry
	err := s.journaled(f, "journal finish", func(ctx context.Context) (err error) {
		e, err = s.journal.Finish(ctx, &fin)
		return err
	})
	if err != nil {
		s.alarm(&f.matter, bridge.AlarmJournal, "evidence can't be written: "+err.Error())
		return
	}
	f.entry, f.unsaved = e, bridge.Finish{}
}

// whyDoubtful says in words what keeps an entry open.
func whyDoubtful(w *weight) string {
	var parts []string
	if m := w.sent.Outcome.Message; m != "" {
		parts = append(parts, m)
	}
	if w.looked != nil {
		seen := w.looked.Outcome.Message
		if seen == "" {
			seen = w.looked.Outcome.Class.String()
		}
		parts = append(parts, "looked up: "+seen)
	}
	return bridge.OneLine(strings.Join(parts, "; "), 500)
}

// stopped notes what came between the flight and its last move.
func (f *flight) stopped(o obstacle, why string) { f.obstacle, f.trouble = o, why }

// breaks is stopped by the journal.
func (s *Service) breaks(f *flight, what string, err error) {
	f.stopped(broken, what+": "+err.Error())
	s.alarm(&f.matter, bridge.AlarmJournal, f.trouble)
}

// journaled does one thing with the journal, as long as there is patience, and takes its time.
func (s *Service) journaled(f *flight, name string, do func(context.Context) error) error {
	ctx, span := beginSpan(f.ctx, name)
	defer span.End()
	ctx, cancel := context.WithTimeout(ctx, f.patience())
	defer cancel()
	start := time.Now()
	err := do(ctx)
	f.report.Journal += time.Since(start)
	failed(span, err)
	return err
}
