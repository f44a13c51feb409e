package flow

import (
	"cmp"
	"context"
	"time"

	"einvoice-bridge/bridge"
)

// How flights end and callers are told: every end is durable before anyone hears it.

// land ends a flight as next has decided: what comes of it is on record then, or it is known that it can't be.
func (s *Service) land(f *flight) {
	if f.step.alarm != "" {
		s.alarm(&f.matter, f.step.alarm, "the cancellation waited its turn for too long and was given up, unsent")
	}
	o := &f.step.outcome
	switch f.step.move {
	case end:
		s.quiet.forget(f.entry.ID)
		if o.Class != bridge.Cancelled && o.Class != bridge.Refused && o.Message == "" {
			o.Message = f.trouble
		}
		s.conclude(f, bridge.Final)
	case leave:
		w := weigh(f.entry.Attempts)
		*o = bridge.Outcome{Class: bridge.Unknown, Message: whyDoubtful(&w)}
		if f.trouble != "" && (f.barred || f.obstacle != noObstacle) {
			o.Message = bridge.OneLine(o.Message+"; "+f.trouble, 500)
		}
		s.conclude(f, bridge.Open)
	case park:
		s.save(f)
		s.word(f, bridge.FromCheck)
	case fail:
		s.word(f, bridge.FromCheck)
	case recall:
		s.save(f)
		s.quiet.forget(f.entry.ID)
		s.word(f, bridge.FromJournal)
	}
}

// conclude writes a flight's end down, in one commit with its last evidence and what everybody who waits is told. While the
// disk refuses, it tries again: callers whose time runs out are told Unknown, and the document stays in flight here until
// the outcome is on record.
func (s *Service) conclude(f *flight, state bridge.State) {
	fin := &f.unsaved
	fin.Entry, fin.State, fin.Outcome, fin.NextLookup, fin.Release = f.entry.ID, state, f.step.outcome, f.step.nextLook, true
	for delay := 50 * time.Millisecond; !s.finish(f, fin); delay = min(2*delay, 5*time.Second) {
		select {
		case <-time.After(delay):
		case <-s.ctx.Done():
			f.telling = telling{} // the entry stays as it is; the next start looks it up
			return
		}
	}
}

func (s *Service) finish(f *flight, fin *bridge.Finish) bool {
	fin.At = s.clock()
	f.worded(bridge.FromUpstream)
	fin.Asks = f.toldTo(fin.At)
	var e bridge.Entry
	err := s.journaled(f, "journal finish", func(ctx context.Context) (err error) {
		e, err = s.journal.Finish(ctx, fin)
		return err
	})
	if err != nil {
		s.alarm(&f.matter, bridge.AlarmJournal, "an outcome can't be written: "+err.Error())
		return false
	}
	f.entry, f.held = e, false
	switch o := &f.entry.Outcome; {
	case o.Class == bridge.Cancelled && (f.step.outcome.Class != bridge.Cancelled || f.step.outcome.Date != o.Date):
		f.step.outcome = *o // another one's truth is on record already
	case fin.State == bridge.Final && f.entry.State != bridge.Final:
		f.step.outcome = bridge.Outcome{Class: bridge.Unknown, Message: "another instance has the document by now; this one's word was: " + f.step.outcome.Message}
	default:
		return true
	}
	f.answer(bridge.FromJournal)
	f.report.Journal += s.note(&f.matter, f.toldTo(fin.At), f.left(fin.At))
	return true
}

// telling is what the callers of a flight that is ending are told.
type telling struct {
	asks    []*ask
	answers []bridge.Answer // to each of them
	how     bridge.How      // empty: the process ends before it is on record, and nobody is told anything
}

// worded lets nobody join any more, and words the flight's last step for everyone who waits.
func (f *flight) worded(how bridge.How) {
	f.telling.asks = f.ending()
	f.answer(how)
}

// word writes down what everyone who waits is told, where no attempt stands behind it: what is on record, or that nothing
// came of the call.
func (s *Service) word(f *flight, how bridge.How) {
	now := s.clock()
	f.worded(how)
	f.report.Journal += s.note(&f.matter, f.toldTo(now), f.left(now))
}

// letGo gives everyone his answer. Those whose time was over while it was being written down have heard something else,
// and the record says so.
func (s *Service) letGo(f *flight) {
	f.end() // before anybody hears it, and calls again
	o := f.step.outcome
	classify(f.span, o.Class)
	if n := len(f.entry.Attempts); n > 0 && f.tries > 0 { // what one that stays open was answered with
		w := weigh(f.entry.Attempts)
		last := &w.sent.Outcome
		o.Unclassified = o.Unclassified || last.Unclassified
		if o.Code == "" && o.Class == bridge.Unknown {
			o.Code, o.UpstreamRef = last.Code, last.UpstreamRef
		}
	}
	var gone []*ask
	for i, a := range f.telling.asks {
		if f.drop(a) {
			s.answered(&f.matter, &f.report, a, a.heard(f.telling.how), &f.telling.answers[i], &o) // while his call's span is there
			a.told <- &f.telling.answers[i]
		} else {
			gone = append(gone, a)
		}
	}
	s.noteGone(f, gone)
}

// noteGone puts what those heard who have left to the entry.
func (s *Service) noteGone(f *flight, gone []*ask) {
	asks := make([]bridge.Ask, len(gone))
	for i, a := range gone {
		r := <-a.late // he is just recording it
		a.late <- r
		r.Entry = f.entry.ID
		asks[i] = r
	}
	s.note(&f.matter, asks, 0)
}

// afterwards does what nobody need wait for.
func (s *Service) afterwards(f *flight) {
	switch {
	case f.step.move == leave:
		s.alarmAge(f)
	case f.held:
		s.release(f.ctx, bridge.Entry{Key: f.key, Taxpayer: f.c.Taxpayer, Upstream: f.up.Profile().Name}) // the entry may be lost
	}
}

// answer words the flight's last step for everyone who waits.
func (f *flight) answer(how bridge.How) {
	f.telling.how, f.telling.answers = how, make([]bridge.Answer, len(f.telling.asks))
	for i, a := range f.telling.asks {
		f.telling.answers[i] = f.step.answer(a.req, f.trouble)
	}
}

// toldTo is what the journal keeps of the answers.
func (f *flight) toldTo(now time.Time) []bridge.Ask {
	all := make([]bridge.Ask, len(f.telling.asks))
	for i, a := range f.telling.asks {
		ans := &f.telling.answers[i]
		all[i] = f.told(f.entry.ID, a, a.heard(f.telling.how), ans, now)
		all[i].SOAPOut = a.render(ans, false)
	}
	return all
}

// told is what the journal keeps of a caller who is told ans now, but for its envelope.
func (m *matter) told(entry int64, a *ask, how bridge.How, ans *bridge.Answer, now time.Time) bridge.Ask {
	return bridge.Ask{
		Ref: a.req.Ref, Caller: a.req.Caller, Taxpayer: m.c.Taxpayer, Key: m.key, IRN: a.req.IRN,
		Reason: a.req.Reason, Remarks: a.req.Remarks, Entry: entry, Received: a.req.Received,
		Told: *ans, ToldAt: now, How: how, SOAPIn: a.req.SOAPIn,
	}
}

// note writes down what callers are told apart from a flight's end, and returns how long that took. Nobody waits for the
// disk beyond his time, left: what is not written by then is written behind his back.
func (s *Service) note(m *matter, asks []bridge.Ask, left time.Duration) time.Duration {
	if len(asks) == 0 {
		return 0
	}
	if left -= left / 4; left <= 0 || left > diskTime { // there must be time to tell him
		left = diskTime
	}
	ctx, span := beginSpan(m.ctx, "journal tell")
	defer span.End()
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	start := time.Now()
	err := s.journal.Tell(ctx, asks...)
	failed(span, err)
	if err != nil {
		s.noteLater(m, asks)
	}
	return time.Since(start)
}

// noteLater tries once more, behind the back of callers who have their answers.
func (s *Service) noteLater(m *matter, asks []bridge.Ask) {
	s.work.begin()
	go func() {
		defer s.work.end()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), 2*diskTime)
		defer cancel()
		if err := s.journal.Tell(ctx, asks...); err != nil {
			s.alarm(m, bridge.AlarmJournal, "what callers were told can't be written: "+err.Error())
		}
	}()
}

// tellOne answers a caller who is on no flight.
func (s *Service) tellOne(m *matter, a *ask, st *step) bridge.Answer {
	if st.outcome.Alarm != "" {
		s.alarm(m, bridge.AlarmMisconfigured, st.outcome.Alarm)
	}
	ans := st.answer(a.req, "")
	left := time.Until(a.req.Until)
	if left <= 0 {
		return s.late(m, a, ans)
	}
	r := m.told(0, a, a.how, &ans, s.clock())
	r.SOAPOut = a.render(&ans, false)
	took := s.note(m, []bridge.Ask{r}, left)
	s.answered(m, &bridge.CallReport{Journal: took}, a, a.how, &ans, &st.outcome)
	return ans
}

// late tells a caller whose time is over; the work goes on.
func (s *Service) late(m *matter, a *ask, ans bridge.Answer) bridge.Answer {
	r := m.told(0, a, a.how, &ans, s.clock())
	r.SOAPOut = a.render(&ans, true)
	if a.late != nil {
		a.late <- r
	}
	s.noteLater(m, []bridge.Ask{r})
	s.answered(m, &bridge.CallReport{}, a, a.how, &ans, &bridge.Outcome{})
	return ans
}

// answered tells observers of one answered call: begun is what is known of the work behind it.
func (s *Service) answered(m *matter, begun *bridge.CallReport, a *ask, how bridge.How, ans *bridge.Answer, o *bridge.Outcome) {
	r := *begun
	r.Context, r.Key = a.req.Context, m.key
	r.Ref, r.Caller, r.Taxpayer = a.req.Ref, a.req.Caller, a.req.Taxpayer
	r.Answer, r.How, r.Code, r.DateSource = *ans, how, o.Code, o.DateSource
	r.UpstreamRef, r.Unclassified = o.UpstreamRef, o.Unclassified
	if m.up != nil {
		r.Upstream = m.up.Profile().Name
	}
	r.Took = time.Since(a.req.Received)
	s.observe.Answered(&r)
}

// answer words a step for one caller, who gets back his own spelling of the IRN. trouble is what was in the way, for
// operators, where the outcome does not say it.
func (st *step) answer(r *bridge.Request, trouble string) bridge.Answer {
	o := &st.outcome
	a := bridge.Answer{Class: o.Class, Ref: r.Ref, RetryAfter: o.RetryAfter, Why: bridge.OneLine(cmp.Or(o.Message, o.Alarm, trouble), 500)}
	switch {
	case st.fault != "":
		a.Class, a.Fault = bridge.None, st.fault
	case o.Class == bridge.Cancelled:
		a.IRN, a.CancelDate, a.Why = r.IRN, o.Date, ""
	case o.Class == bridge.Refused:
		a.Message, a.Why = bridge.OneLine(o.Message, 1000), ""
	case o.Class == bridge.NotApplied:
		a.Fault = bridge.FaultNotApplied
	case o.Class == bridge.Misconfigured:
		a.Fault = bridge.FaultMisconfigured
	default:
		a.Class, a.Fault = bridge.Unknown, bridge.FaultUnknown
	}
	return a
}

// release gives a lease back without evidence.
func (s *Service) release(ctx context.Context, e bridge.Entry) {
	ctx, cancel := context.WithTimeout(ctx, diskTime)
	defer cancel()
	if err := s.journal.Release(ctx, e); err != nil {
		s.observe.Alarm(bridge.Alarm{Kind: bridge.AlarmJournal, Key: e.Key, Taxpayer: e.Taxpayer, Upstream: e.Upstream,
			Text: "a lease can't be given back; it ends by itself: " + err.Error()})
	}
}

func (s *Service) alarm(m *matter, kind bridge.AlarmKind, text string) {
	a := bridge.Alarm{Kind: kind, Taxpayer: m.c.Taxpayer, Key: m.key, Ref: m.c.Ref, Text: text}
	if m.up != nil {
		a.Upstream = m.up.Profile().Name
	}
	s.observe.Alarm(a)
}
