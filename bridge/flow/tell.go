package flow

import (
	"cmp"
	"context"
	"time"

	"einvoice-bridge/bridge"
)

// How flights end and callers are told: every end is durable before anyone hears it.

// land ends a flight as next has decided.
func (s *Service) land(f *flight, st step) {
	if st.alarm != "" {
		s.alarm(f.matter, st.alarm, "the cancellation waited its turn for too long and was given up, unsent")
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
		s.conclude(f, bridge.Finish{State: bridge.Open, Outcome: o, NextLookup: st.nextLook})
		s.alarmAge(f)
	case park:
		s.save(f)
		s.tellAll(f, st, bridge.FromCheck)
	case fail:
		s.tellAll(f, st, bridge.FromCheck)
	case recall:
		s.save(f)
		s.quiet.forget(f.entry.ID)
		s.tellAll(f, st, bridge.FromJournal)
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
	asks, st := f.ending(), step{outcome: fin.Outcome}
	answers, how := f.answers(asks, st), bridge.FromUpstream
	fin.Asks = f.toldTo(asks, answers, how, fin.At)
	e, err := journaled(s, f, "journal finish", func(ctx context.Context) (bridge.Entry, error) { return s.journal.Finish(ctx, fin) })
	if err != nil {
		s.alarm(f.matter, bridge.AlarmJournal, "an outcome can't be written: "+err.Error())
		return false
	}
	f.entry, f.held = e, false
	if o := e.Outcome; o.Class == bridge.Cancelled && (st.outcome.Class != bridge.Cancelled || st.outcome.Date != o.Date) { // another one's truth is on record already
		st.outcome = e.Outcome
		answers, how = f.answers(asks, st), bridge.FromJournal
		f.report.Journal += s.note(f.matter, f.toldTo(asks, answers, how, fin.At), f.left(fin.At))
	}
	s.letGo(f, asks, answers, how, st.outcome)
	return true
}

// tellAll tells everyone who waits what no attempt stands behind: what is on record, or that nothing came of the call.
func (s *Service) tellAll(f *flight, st step, how bridge.How) {
	asks, now := f.ending(), s.clock()
	answers := f.answers(asks, st)
	f.report.Journal += s.note(f.matter, f.toldTo(asks, answers, how, now), f.left(now))
	s.letGo(f, asks, answers, how, st.outcome)
	if f.held {
		s.release(f.ctx, bridge.Entry{Key: f.key, Taxpayer: f.c.Taxpayer, Upstream: f.up.Profile().Name}) // the entry may be lost
	}
}

// letGo gives everyone his answer. Those whose time was over while it was being written down have heard something else,
// and the record says so.
func (s *Service) letGo(f *flight, asks []*ask, answers []bridge.Answer, how bridge.How, o bridge.Outcome) {
	f.ended() // before anybody hears it, and calls again
	classify(f.span, o.Class)
	if n := len(f.entry.Attempts); n > 0 && f.tries > 0 { // what one that stays open was answered with
		last := weigh(f.entry.Attempts).sent.Outcome
		o.Unclassified = o.Unclassified || last.Unclassified
		if o.Code == "" && o.Class == bridge.Unknown {
			o.Code, o.UpstreamRef = last.Code, last.UpstreamRef
		}
	}
	var gone []bridge.Ask
	for i, a := range asks {
		if f.drop(a) {
			s.observe.Answered(report(f.matter, f.report, a, a.heard(how), answers[i], o)) // while his call's span is there
			a.told <- answers[i]
		} else {
			r := <-a.late // he is just recording it
			a.late <- r
			r.Entry = f.entry.ID
			gone = append(gone, r)
		}
	}
	s.note(f.matter, gone, 0)
}

// answers words a step for everyone who waits.
func (f *flight) answers(asks []*ask, st step) []bridge.Answer {
	all := make([]bridge.Answer, len(asks))
	for i, a := range asks {
		all[i] = st.answer(a.req, f.trouble)
	}
	return all
}

// toldTo is what the journal keeps of answers.
func (f *flight) toldTo(asks []*ask, answers []bridge.Answer, how bridge.How, now time.Time) []bridge.Ask {
	all := make([]bridge.Ask, len(asks))
	for i, a := range asks {
		all[i] = f.told(f.entry.ID, a, a.heard(how), answers[i], now)
		all[i].SOAPOut = a.render(answers[i], false)
	}
	return all
}

// told is what the journal keeps of a caller who is told ans now, but for its envelope.
func (m matter) told(entry int64, a *ask, how bridge.How, ans bridge.Answer, now time.Time) bridge.Ask {
	return bridge.Ask{
		Ref: a.req.Ref, Caller: a.req.Caller, Taxpayer: m.c.Taxpayer, Key: m.key, IRN: a.req.IRN,
		Reason: a.req.Reason, Remarks: a.req.Remarks, Entry: entry, Received: a.req.Received,
		Told: ans, ToldAt: now, How: how, SOAPIn: a.req.SOAPIn,
	}
}

// note writes down what callers are told apart from a flight's end, and returns how long that took. Nobody waits for the
// disk beyond his time, left: what is not written by then is written behind his back.
func (s *Service) note(m matter, asks []bridge.Ask, left time.Duration) time.Duration {
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
func (s *Service) noteLater(m matter, asks []bridge.Ask) {
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
func (s *Service) tellOne(m matter, a *ask, st step) bridge.Answer {
	if st.outcome.Alarm != "" {
		s.alarm(m, bridge.AlarmMisconfigured, st.outcome.Alarm)
	}
	ans := st.answer(a.req, "")
	left := time.Until(a.req.Until)
	if left <= 0 {
		return s.late(m, a, ans)
	}
	r := m.told(0, a, a.how, ans, s.clock())
	r.SOAPOut = a.render(ans, false)
	took := s.note(m, []bridge.Ask{r}, left)
	s.observe.Answered(report(m, bridge.CallReport{Journal: took}, a, a.how, ans, st.outcome))
	return ans
}

// late tells a caller whose time is over; the work goes on.
func (s *Service) late(m matter, a *ask, ans bridge.Answer) bridge.Answer {
	r := m.told(0, a, a.how, ans, s.clock())
	r.SOAPOut = a.render(ans, true)
	a.late <- r
	s.noteLater(m, []bridge.Ask{r})
	s.observe.Answered(report(m, bridge.CallReport{}, a, a.how, ans, bridge.Outcome{}))
	return ans
}

// report completes what observers hear of one answered call.
func report(m matter, r bridge.CallReport, a *ask, how bridge.How, ans bridge.Answer, o bridge.Outcome) bridge.CallReport {
	r.Context, r.Key = a.req.Context, m.key
	r.Ref, r.Caller, r.Taxpayer = a.req.Ref, a.req.Caller, a.req.Taxpayer
	r.Answer, r.How, r.Code, r.DateSource = ans, how, o.Code, o.DateSource
	r.UpstreamRef, r.Unclassified = o.UpstreamRef, o.Unclassified
	if m.up != nil {
		r.Upstream = m.up.Profile().Name
	}
	r.Took = time.Since(a.req.Received)
	return r
}

// answer words a step for one caller, who gets back his own spelling of the IRN. trouble is what was in the way, for
// operators, where the outcome does not say it.
func (st step) answer(r bridge.Request, trouble string) bridge.Answer {
	o := st.outcome
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

func (s *Service) alarm(m matter, kind bridge.AlarmKind, text string) {
	a := bridge.Alarm{Kind: kind, Taxpayer: m.c.Taxpayer, Key: m.key, Ref: m.c.Ref, Text: text}
	if m.up != nil {
		a.Upstream = m.up.Profile().Name
	}
	s.observe.Alarm(a)
}
