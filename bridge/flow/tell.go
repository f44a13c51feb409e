package flow

import (
	"context"
	"time"

	"einvoice-bridge/bridge"
)

// How flights end and callers are told: every end is durable before anyone hears it.

// land ends a flight as next has decided.
func (s *Service) land(f *flight, st step) {
	if st.alarm != "" {
		s.alarm(f, st.alarm, "the cancellation waited its turn for too long and was given up, unsent")
	}
	o := st.outcome
	switch st.move {
	case end:
		s.quiet.forget(f.entry.ID)
		if o.Class != bridge.Cancelled && o.Class != bridge.Refused && o.Message == "" {
			o.Message = f.trouble
		}
		s.conclude(f, bridge.Finish{State: bridge.Final, Outcome: o})
	case leave:
		o = bridge.Outcome{Class: bridge.Unknown, Message: whyDoubtful(weigh(f.entry.Attempts))}
		if f.trouble != "" && (f.barred || f.obstacle != noObstacle) {
			o.Message = bridge.OneLine(o.Message+"; "+f.trouble, 500)
		}
		s.conclude(f, bridge.Finish{State: bridge.Open, Outcome: o, NextLookup: st.again})
		s.alarmAge(f)
	case park:
		s.save(f)
		s.tellAll(f, bridge.Outcome{Message: bridge.FaultWaiting}, bridge.FromCheck)
	case fail:
		s.tellAll(f, o, bridge.FromCheck)
	case record:
		s.save(f)
		s.quiet.forget(f.entry.ID)
		s.tellAll(f, o, bridge.FromJournal)
	}
}

// conclude writes a flight's end down, in one commit with its last evidence and what everybody who waits is told, and
// lets them go. While the disk refuses, it tries again: callers whose time runs out are told Unknown, and the document
// stays in flight here until the outcome is on record.
func (s *Service) conclude(f *flight, fin bridge.Finish) {
	fin.Entry, fin.Attempt, fin.Result, fin.Look = f.entry.ID, f.unsaved.Attempt, f.unsaved.Result, f.unsaved.Look
	fin.Release = true
	for delay := 50 * time.Millisecond; !s.finish(f, fin); delay = min(2*delay, 5*time.Second) {
		select {
		case <-time.After(delay):
		case <-s.ctx.Done():
			return // the entry stays as it is; the next start looks it up
		}
	}
}

func (s *Service) finish(f *flight, fin bridge.Finish) bool {
	fin.At = s.clock()
	asks := f.ending()
	answers := f.answers(asks, fin.Outcome, bridge.FromUpstream)
	fin.Asks = f.records(asks, answers, fin.At)
	e, err := journaled(s, f, "journal finish", func(ctx context.Context) (bridge.Entry, error) { return s.journal.Finish(ctx, fin) })
	if err != nil {
		s.alarm(f, bridge.AlarmJournal, "an outcome can't be written: "+err.Error())
		return false
	}
	f.entry, f.held = e, false
	o := fin.Outcome
	if e.Outcome.Class == bridge.Cancelled && o.Class != bridge.Cancelled { // late truth had won already
		o = e.Outcome
		answers = f.answers(asks, o, bridge.FromJournal)
		s.note(f, f.records(asks, answers, fin.At))
	}
	s.letGo(f, asks, answers, o)
	return true
}

// tellAll tells everyone who waits what no attempt stands behind: what is on record, or that nothing came of the call.
func (s *Service) tellAll(f *flight, o bridge.Outcome, how bridge.How) {
	if o.Message == "" || o.Class == bridge.None {
		o.Alarm = f.trouble
	}
	asks := f.ending()
	answers := f.answers(asks, o, how)
	s.note(f, f.records(asks, answers, s.clock()))
	s.letGo(f, asks, answers, o)
	if f.held {
		s.release(f.ctx, f.entry)
	}
}

// letGo gives everyone his answer. Those whose time was over while it was being written down have heard something else,
// and the record says so.
func (s *Service) letGo(f *flight, asks []*ask, answers []bridge.Answer, o bridge.Outcome) {
	classify(f.span, o.Class)
	var gone []bridge.Ask
	for i, a := range asks {
		report := s.reportOf(f, a, answers[i], o) // before he hears it: then the flight may be read by nobody else
		if f.tell(a, answers[i]) {
			s.observe.Answered(report)
		} else {
			gone = append(gone, f.record(a, *a.late, s.clock()))
		}
	}
	s.note(f, gone)
}

// answers words the outcome for everyone who waits.
func (f *flight) answers(asks []*ask, o bridge.Outcome, how bridge.How) []bridge.Answer {
	all := make([]bridge.Answer, len(asks))
	for i, a := range asks {
		all[i] = answer(o, a.req)
		if a.how == bridge.FromUpstream {
			a.how = how
		}
	}
	return all
}

// records is what the journal keeps of answers.
func (f *flight) records(asks []*ask, answers []bridge.Answer, now time.Time) []bridge.Ask {
	all := make([]bridge.Ask, len(asks))
	for i, a := range asks {
		all[i] = f.record(a, answers[i], now)
	}
	return all
}

// record is what the journal keeps of a caller who is told ans now.
func (f *flight) record(a *ask, ans bridge.Answer, now time.Time) bridge.Ask {
	r := bridge.Ask{
		Ref: a.req.Ref, Caller: a.req.Caller, Taxpayer: f.c.Taxpayer, Key: f.key, IRN: a.req.IRN,
		Reason: a.req.Reason, Remarks: a.req.Remarks, Entry: f.entry.ID, Received: a.req.Received,
		Told: ans, ToldAt: now, How: a.how, SOAPIn: a.req.SOAPIn,
	}
	if a.req.Render != nil {
		r.SOAPOut = a.req.Render(ans)
	}
	return r
}

// note writes down what callers are told apart from a flight's end. Nobody waits for the disk beyond his time: what is
// not written by then is written behind his back.
func (s *Service) note(f *flight, asks []bridge.Ask) {
	if len(asks) == 0 {
		return
	}
	_, err := journaled(s, f, "journal tell", func(ctx context.Context) (struct{}, error) {
		if left := f.left(s.clock()); left > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, left)
			defer cancel()
		}
		return struct{}{}, s.journal.Tell(ctx, asks...)
	})
	if err != nil {
		s.noteLater(f, asks)
	}
}

// noteLater tries once more, behind the back of callers who have their answers.
func (s *Service) noteLater(f *flight, asks []bridge.Ask) {
	if f.alone {
		s.alarm(f, bridge.AlarmJournal, "what a caller was told from the record can't be written")
		return
	}
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(f.ctx), 2*diskTime)
		defer cancel()
		if err := s.journal.Tell(ctx, asks...); err != nil {
			s.alarm(f, bridge.AlarmJournal, "what callers were told can't be written: "+err.Error())
		}
	})
}

// tellOne answers a caller who is on no flight.
func (s *Service) tellOne(f *flight, a *ask, o bridge.Outcome) bridge.Answer {
	if o.Alarm != "" {
		s.alarm(f, bridge.AlarmMisconfigured, o.Alarm)
	}
	ans := answer(o, a.req)
	s.note(f, []bridge.Ask{f.record(a, ans, s.clock())})
	s.observe.Answered(s.reportOf(f, a, ans, o))
	return ans
}

// late tells a caller whose time is over; the work goes on.
func (s *Service) late(f *flight, a *ask, ans bridge.Answer) bridge.Answer {
	// What the flight knows belongs to whoever carries it: here is only what never changes.
	g := &flight{key: f.key, up: f.up, terms: f.terms, c: f.c, ctx: f.ctx}
	g.c.Ref = a.req.Ref
	s.noteLater(g, []bridge.Ask{g.record(a, ans, s.clock())})
	s.observe.Answered(s.reportOf(g, a, ans, bridge.Outcome{Class: ans.Class}))
	return ans
}

// reportOf is one answered call for observers.
func (s *Service) reportOf(f *flight, a *ask, ans bridge.Answer, o bridge.Outcome) bridge.CallReport {
	r := f.report
	r.Context, r.Key = a.req.Context, f.key
	r.Ref, r.Caller, r.Taxpayer = a.req.Ref, a.req.Caller, a.req.Taxpayer
	r.Answer, r.How, r.Code, r.DateSource = ans, a.how, o.Code, o.DateSource
	r.UpstreamRef, r.Unclassified = o.UpstreamRef, o.Unclassified
	if n := len(f.entry.Attempts); n > 0 && f.tries > 0 { // what an open one was answered with
		last := weigh(f.entry.Attempts).sent.Outcome
		r.Unclassified = r.Unclassified || last.Unclassified
		if r.Code == "" && ans.Class == bridge.Unknown {
			r.Code, r.UpstreamRef = last.Code, last.UpstreamRef
		}
	}
	if f.up != nil {
		r.Upstream = f.up.Profile().Name
	}
	r.Took = time.Since(a.req.Received)
	return r
}

// answer puts an outcome into words for one caller, who gets back his own spelling of the IRN. An outcome without a class
// is a Fault's text.
func answer(o bridge.Outcome, r bridge.Request) bridge.Answer {
	a := bridge.Answer{Class: o.Class, Ref: r.Ref, RetryAfter: o.RetryAfter}
	switch o.Class {
	case bridge.Cancelled:
		a.IRN, a.CancelDate = r.IRN, o.Date
	case bridge.Refused:
		a.Message = bridge.OneLine(o.Message, 1000)
	case bridge.None:
		a.Fault, a.Why = o.Message, o.Alarm
	case bridge.NotApplied:
		a.Fault, a.Why = bridge.FaultNotApplied, why(o)
	case bridge.Misconfigured:
		a.Fault, a.Why = bridge.FaultMisconfigured, why(o)
	default:
		a.Class, a.Fault, a.Why = bridge.Unknown, bridge.FaultUnknown, why(o)
	}
	return a
}

func why(o bridge.Outcome) string {
	if o.Message != "" {
		return bridge.OneLine(o.Message, 500)
	}
	return bridge.OneLine(o.Alarm, 500)
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

func (s *Service) alarm(f *flight, kind bridge.AlarmKind, text string) {
	a := bridge.Alarm{Kind: kind, Taxpayer: f.c.Taxpayer, Key: f.key, Ref: f.c.Ref, Text: text}
	if f.up != nil {
		a.Upstream = f.up.Profile().Name
	}
	s.observe.Alarm(a)
}
