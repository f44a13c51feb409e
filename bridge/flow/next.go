package flow

import (
	"time"

	"einvoice-bridge/bridge"
)

// This file decides, and nothing else does: what a cancellation's record and its flight's facts lead to. It is pure.
// The flow in loop.go does what it says, one thing at a time, and asks again.

const (
	maxTries   = 3 // cancels of one flight
	maxLooks   = 2 // lookups of one flight after each of them
	resendAge  = 2 * time.Minute
	resendAsks = 2 // lookups without an answer after which, and after resendAge, a caller's own repeat may send once more

	// settling is how long after the end of a call to the authority its own reads may lag behind (MyInvois: "Valid" or 404
	// within 30 s of a doubtful send is no state at all).
	settling    = 30 * time.Second
	lookPause   = 5 * time.Second  // between two lookups of one flight
	barredPause = 30 * time.Second // until a lookup that was not tried is due again
	alarmAge    = time.Hour
)

// move is one thing that the flow can do.
type move uint8

const (
	take   move = iota // write the cancellation down, or take the lease of the entry that is there
	queue              // wait its turn at the authority
	send               // make an attempt durable, and send it
	look               // ask the authority what it holds
	pause              // before another send or lookup
	leave              // leave it open: the background looks again
	park               // leave it accepted: whoever takes it up carries it out
	recall             // tell what is on record
	end                // write down how it ended, and tell
	fail               // tell that this call came to nothing; the record stays as it is
)

// step is a move and what belongs to it.
type step struct {
	move
	outcome  bridge.Outcome // of end, recall and fail
	fault    string         // of park and fail, when there is no outcome to tell
	wait     time.Duration  // of pause
	jitter   bool           // the pause may be half as long again
	nextLook time.Time      // of leave: the next lookup; zero: it is the operator's
	alarm    bridge.AlarmKind
}

// What is told when nothing came of a call.
var (
	busy    = step{move: fail, fault: bridge.FaultBusy, outcome: bridge.Outcome{RetryAfter: 5 * time.Second}}
	unknown = step{move: fail, outcome: bridge.Outcome{Class: bridge.Unknown}}
)

// errand is why there is a flight.
type errand uint8

const (
	forCaller errand = iota // somebody asks
	forTurn                 // an accepted entry is carried on with
	forTruth                // a doubtful one is looked up; it sends no cancel
)

// obstacle is what came between the flight and its last move.
type obstacle uint8

const (
	noObstacle obstacle = iota
	gateShut            // the credentials are refused
	expired             // not carried out in time
	overdue             // nobody waits any more
	closing             // the process ends
	broken              // the journal can't be read or written
)

// facts are what next must know beside the record.
type facts struct {
	progress
	now     time.Time // wall clock
	errand  errand
	asked   *bridge.Cancellation
	terms   *Terms
	profile *bridge.Profile
	left    time.Duration // for which somebody can wait, or an accepted entry may be carried out
	ripens  time.Duration // until a look closes the doubt of an unclear answer
}

// progress is what a flight has done so far.
type progress struct {
	held     bool // the document's lease is ours
	begun    bool // the flight has had the entry when it had not ended
	armed    bool // the entry's last attempt is durable and not sent yet
	booked   bool // its turn has come
	rested   bool // it has paused since the last send or lookup
	tries    int  // cancels so far
	looks    int  // lookups since the last of them
	barred   bool // the last lookup was not tried
	obstacle obstacle
}

// next decides.
func next(e *bridge.Entry, f *facts) step {
	switch {
	case e.State == bridge.Final && f.tells(e):
		return step{move: recall, outcome: e.Outcome}
	case f.obstacle != noObstacle:
		return stopped(e, f)
	case !f.held:
		return step{move: take}
	case f.armed:
		return step{move: send}
	}
	w := weigh(e.Attempts)
	switch {
	case w.proven():
		return step{move: end, outcome: w.cancelled(e, f)}
	case w.doubt:
		return doubtful(e, &w, f)
	case f.tries > 0, e.State == bridge.Open, e.State == bridge.Sending:
		return judged(e, &w, f)
	}
	return sendNow(f)
}

// tells: what an ended entry says is the answer. A repeat sends again, but for what is cancelled, for a refusal that was
// just heard (NIC blocks callers who keep producing errors), and for what ended while this flight was on its way.
func (f *facts) tells(e *bridge.Entry) bool {
	age := f.now.Sub(e.Updated) // negative after the clock was set back: then nothing is known of it
	same := e.Reason == f.asked.Reason && e.Remarks == f.asked.Remarks
	return f.begun || f.errand != forCaller || e.Outcome.Class == bridge.Cancelled ||
		e.Outcome.Class == bridge.Refused && same && age >= 0 && age < f.terms.RepeatRefusalsAfter
}

// stopped is the end of a flight that can't go on. What was sent stays open, what was accepted is carried out by whoever
// takes it up; of anything else nothing has been sent for this call.
func stopped(e *bridge.Entry, f *facts) step {
	w := weigh(e.Attempts)
	accepted := f.held && e.State == bridge.Accepted
	switch {
	case f.tries > 0 && (!f.held || e.ID == 0): // somebody else has taken over; what was sent is on record
		return unknown
	case f.held && e.State != bridge.Final && (w.doubt || f.tries > 0 && !(accepted && w.sent.Outcome.Class == bridge.NotApplied)):
		return leaving(e, &w, f) // also when only the record does not know yet that the last send came to nothing
	case f.obstacle == gateShut && accepted:
		return step{move: end, outcome: bridge.Outcome{Class: bridge.Misconfigured}}
	case f.obstacle == gateShut:
		return step{move: fail, outcome: bridge.Outcome{Class: bridge.Misconfigured}}
	case f.obstacle == expired && f.held:
		return step{move: end, outcome: bridge.Outcome{Class: bridge.NotApplied}, alarm: bridge.AlarmExpired}
	case accepted:
		return step{move: park, fault: bridge.FaultWaiting}
	case f.obstacle == overdue:
		return unknown // somebody else's cancel is under way
	}
	return busy
}

// sendNow sends as soon as its turn has come.
func sendNow(f *facts) step {
	if !f.booked {
		return step{move: queue}
	}
	return step{move: send}
}

// sendAgain sends once more in the same flight, after a pause: what the authority asked for, else at least 1 s, then 3 s.
// ok is false when that can't be.
func sendAgain(f *facts, asked time.Duration) (s step, ok bool) {
	s, longest := step{move: pause, wait: asked}, asked
	if asked == 0 {
		s.wait, s.jitter = [...]time.Duration{0, time.Second, 3 * time.Second, 3 * time.Second}[f.tries], true
		longest = s.wait + s.wait/2
	}
	switch {
	case f.errand == forTruth, f.tries >= maxTries, f.left <= 0:
		return step{}, false
	case f.tries == 0, f.rested, f.booked:
		return sendNow(f), true
	}
	return s, longest < f.left
}

// lookAgain asks once more, after a pause, while somebody waits.
func lookAgain(f *facts, wait time.Duration, most int) (step, bool) {
	switch {
	case f.looks >= most, f.left <= wait && !f.rested:
		return step{}, false
	case f.rested:
		return step{move: look}, true
	}
	return step{move: pause, wait: wait}, true
}

// judged is the end of an entry of which no send can have been carried out, by its last send.
func judged(e *bridge.Entry, w *weight, f *facts) step {
	o := w.sent.Outcome
	asked := w.looked != nil || f.barred
	switch o.Class {
	case bridge.NotApplied:
		if s, ok := sendAgain(f, o.RetryAfter); ok {
			return s
		}
	case bridge.None, bridge.Unknown: // and it is proven that nothing came of it
		if w.seenOther {
			o = bridge.Outcome{Class: bridge.Refused, Message: w.looked.Outcome.Message}
			break
		}
		if s, ok := sendAgain(f, 0); ok {
			return s
		}
		o = bridge.Outcome{Class: bridge.NotApplied, Message: o.Message}
	case bridge.Unclear: // and the document is not cancelled
		o.Class = bridge.Refused
	case bridge.Refused:
		if o.ByState && !asked {
			return step{move: look}
		}
		if w.shown != nil {
			o.Class, o.Date = bridge.AlreadyCancelled, w.shown.Outcome.Date
			return step{move: end, outcome: already(e, o, f)}
		}
	case bridge.AlreadyCancelled:
		if f.terms.AlreadyCancelled == AlreadySuccess && !asked { // for the date
			return step{move: look}
		}
		if w.seenOther { // not active, and not cancelled either
			o.Class = bridge.Refused
			break
		}
		if w.shown != nil {
			o.Date = w.shown.Outcome.Date
		}
		o = already(e, o, f)
	}
	return step{move: end, outcome: o}
}

// already applies the policy for a document that somebody else has cancelled.
func already(e *bridge.Entry, o bridge.Outcome, f *facts) bridge.Outcome {
	if f.terms.AlreadyCancelled == AlreadySuccess {
		o.Class, o.Message, o.DateSource = bridge.Cancelled, "", ""
		return dated(e, o, f)
	}
	o.Class, o.Date = bridge.Refused, ""
	if f.terms.AlreadyMessage == "nic" {
		o.Message = NICAlready
	}
	return o
}

// doubtful goes on with an entry of which some send may have been carried out. Only the authority's "cancelled", proof
// that it is not, or an operator ends it; what a later send was told does not.
func doubtful(e *bridge.Entry, w *weight, f *facts) step {
	last := w.sent.Outcome
	switch {
	case f.looks == 0 && !f.barred:
		return step{move: look}
	case f.barred:
		return leaving(e, w, f)
	case w.seenActive && !w.strict: // an answer that nobody has listed: a look that comes late enough settles it
		if s, ok := lookAgain(f, f.ripens, maxLooks+1); ok {
			return s
		}
		return leaving(e, w, f)
	case w.seenActive && !w.seenOther && (last.Class == bridge.Unknown || last.Class == bridge.None || last.Class == bridge.NotApplied):
		if s, ok := sendAgain(f, last.RetryAfter); ok { // a late first one does no harm: a document can't be cancelled twice
			return s
		}
	case !w.seenActive && (last.Claimed || last.Class == bridge.AlreadyCancelled) && w.inconclusive >= maxLooks:
		o := bridge.Outcome{Class: bridge.Cancelled, Code: last.Code, HTTPStatus: last.HTTPStatus, UpstreamRef: last.UpstreamRef, Sent: last.Sent}
		return step{move: end, outcome: dated(e, o, f)} // the authority did say so, and has nothing else to say
	}
	if s, ok := lookAgain(f, lookPause, maxLooks); ok {
		return s
	}
	if f.errand == forCaller && f.tries == 0 && w.inconclusive >= resendAsks && f.now.Sub(w.sent.Start) >= resendAge && f.left > 0 {
		return sendNow(f)
	}
	return leaving(e, w, f)
}

// leaving leaves the entry open until the background asks next: 30 s, 2 min, 10 min, 1 h after the last send, then hourly
// until the authority's lookup window, counted from the first send, is over.
func leaving(e *bridge.Entry, w *weight, f *facts) step {
	if f.barred {
		return step{move: leave, nextLook: f.now.Add(barredPause)}
	}
	if f.profile.LookupWindow > 0 && f.now.Sub(e.FirstSend()) > f.profile.LookupWindow {
		return step{move: leave}
	}
	age := max(f.now.Sub(w.sent.Start), 0)
	return step{move: leave, nextLook: f.now.Add(lookDelay(age) - age)}
}

// lookDelay is the first slot of the schedule after age.
func lookDelay(age time.Duration) time.Duration {
	for _, d := range [...]time.Duration{30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour} {
		if age < d {
			return d
		}
	}
	return age.Truncate(time.Hour) + time.Hour
}
