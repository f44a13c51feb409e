package bridge

import (
	"time"
)

// What follows is the outcome table as pure functions over an Entry: what a repeat gets, whose an "already cancelled"
// is, when to look up again. No clock, no I/O; the flow in service.go asks them.

// AlreadyPolicy says what an "already cancelled" counts as.
type AlreadyPolicy string

// The policies for already_cancelled.
const (
	AlreadyByJournal AlreadyPolicy = "journal" // Cancelled if an own attempt may have done it, else Refused
	AlreadySuccess   AlreadyPolicy = "success" // always Cancelled
	AlreadyRefuse    AlreadyPolicy = "refuse"  // always Refused
)

// NICAlready is the text that the legacy service answered for a document that is not active any more. Callers match
// on it; already_message: nic gives it for every upstream.
const NICAlready = "9999: Invoice is not active"

const (
	resendAfter      = 2 * time.Minute  // a doubtful entry's own repeat may send again after this …
	resendLookups    = 2                // … and this many inconclusive lookups
	secondActive     = 30 * time.Second // "active" twice, this and one call timeout apart, proves NotApplied
	maxSends         = 3                // per flight, the first included
	lookupsPerFlight = 2
	alarmAge         = time.Hour
)

// step is what to do with an entry that exists already.
type step uint8

const (
	stepSend   step = iota // carry it out (again)
	stepAnswer             // answer what is recorded
	stepLookup             // doubtful: ask the authority first
)

// next decides what a repeat by the same taxpayer leads to.
func next(e Entry, c Cancellation, now time.Time, repeatRefusalsAfter time.Duration) step {
	switch {
	case e.State == Open, e.State == Sending:
		return stepLookup
	case e.State == Accepted:
		return stepSend
	case e.Outcome.Class == Cancelled:
		return stepAnswer
	case e.Outcome.Class == Refused && e.Reason == c.Reason && e.Remarks == c.Remarks &&
		now.Sub(e.Updated) < repeatRefusalsAfter:
		return stepAnswer // authorities block callers that keep producing errors (NIC, Best Practices)
	}
	return stepSend
}

// mayBeOurs tells whether some send of ours other than the attempt except may have cancelled the document: it was
// sent and neither definitively refused nor stopped at the gate.
func (e Entry) mayBeOurs(except int64) bool {
	for _, a := range e.Attempts {
		if a.ID == except || a.Kind != SendCancel {
			continue
		}
		switch a.Outcome.Class {
		case None, Unknown, Cancelled: // None: the process died in it
			return true
		}
	}
	return false
}

// FirstSend is when this taxpayer's first cancel of the document started; zero when none was sent.
func (e Entry) FirstSend() time.Time {
	for _, a := range e.Attempts {
		if a.Kind == SendCancel {
			return a.Start
		}
	}
	return time.Time{}
}

// lastSend is the latest attempt to cancel; ok is false when there is none.
func (e Entry) lastSend() (Attempt, bool) {
	for i := len(e.Attempts) - 1; i >= 0; i-- {
		if e.Attempts[i].Kind == SendCancel {
			return e.Attempts[i], true
		}
	}
	return Attempt{}, false
}

// lookupsSince returns the lookups that ended after the last send.
func (e Entry) lookupsSince() []Attempt {
	var all []Attempt
	for _, a := range e.Attempts {
		switch {
		case a.Kind == SendCancel:
			all = all[:0]
		case a.Kind == AskState && !a.End.IsZero():
			all = append(all, a)
		}
	}
	return all
}

// mayResend tells whether the caller's own repeat may send a doubtful cancellation once more: lookups don't help, and
// a cancelled document can't be cancelled twice.
func (e Entry) mayResend(now time.Time) bool {
	last, ok := e.lastSend()
	if !ok {
		return true
	}
	inconclusive := 0
	for _, l := range e.lookupsSince() {
		if l.Outcome.Class == Unknown {
			inconclusive++
		}
	}
	return inconclusive >= resendLookups && now.Sub(last.Start) >= resendAfter
}

// provenActive tells whether "active", seen now, proves that the last send came to nothing: only when an earlier
// lookup saw it too, long enough ago for a late commit to show.
func (e Entry) provenActive(now time.Time, callTimeout time.Duration) bool {
	for _, l := range e.lookupsSince() {
		if l.Outcome.Class == NotApplied && now.Sub(l.End) >= secondActive+callTimeout {
			return true
		}
	}
	return false
}

// nextLookup is when the background asks next: 30 s, 2 min, 10 min, 1 h after the last send, then hourly until the
// authority's lookup window, counted from the first send, is over. Zero: never, it is the operator's.
func (e Entry) nextLookup(now time.Time, window time.Duration) time.Time {
	last, ok := e.lastSend()
	if !ok {
		return time.Time{}
	}
	at := last.Start.Add(lookupDelay(now.Sub(last.Start)))
	if window > 0 && at.After(e.FirstSend().Add(window)) {
		return time.Time{}
	}
	return at
}

// lookupDelay is the first slot of the schedule after age.
func lookupDelay(age time.Duration) time.Duration {
	for _, d := range [...]time.Duration{30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour} {
		if age < d {
			return d
		}
	}
	return age.Truncate(time.Hour) + time.Hour
}

// lookupOutcome turns what a lookup saw into the lookup attempt's own outcome: evidence, not yet a verdict.
func lookupOutcome(s DocumentState) Outcome {
	o := Outcome{Message: s.Text, Date: s.Date, Exchanges: s.Exchanges}
	switch s.Status {
	case StatusActive:
		o.Class = NotApplied
	case StatusCancelled:
		o.Class = AlreadyCancelled
	case StatusOther:
		o.Class = Refused
	default:
		o.Class = Unknown
	}
	return o
}

// dated completes the cancel date of a Cancelled outcome: the authority's own, else the recorded one of an earlier
// success, else the start of the first attempt in the authority's zone, seconds 00.
func (e Entry) dated(o Outcome, zone *time.Location, fallback time.Time) Outcome {
	switch {
	case o.Date != "":
		if o.DateSource == "" {
			o.DateSource = DateUpstream
		}
	case e.Outcome.Class == Cancelled && e.Outcome.Date != "":
		o.Date, o.DateSource = e.Outcome.Date, e.Outcome.DateSource
	default:
		at := e.FirstSend()
		if at.IsZero() {
			at = fallback
		}
		o.Date, o.DateSource = at.In(zone).Format("2006-01-02 15:04")+":00", DateEstimated
	}
	return o
}
