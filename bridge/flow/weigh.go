package flow

import "einvoice-bridge/bridge"

// weight is what an entry's evidence amounts to.
type weight struct {
	// doubt: some send of ours may have been carried out, and nothing proves that it was not. strict: one of them was
	// cut off, so that it may still be on its way; otherwise the authority answered each, if unclearly.
	doubt, strict bool
	// ours: the authority had some cancel of ours and did not refuse it, so that "already cancelled" means that one.
	ours bool
	// gated: a send of ours reached the authority and was turned away there, by its word.
	gated bool
	said  *bridge.Attempt // the send that the authority confirmed
	sent  *bridge.Attempt // the last send; an empty one when there is none
	risk  int64           // ID of the last send that the authority had and did not refuse
	// Of the lookups since the last send:
	looked       *bridge.Attempt // the last
	shown        *bridge.Attempt // the one that found the document cancelled
	seenActive   bool            // the last one that got an answer found it not cancelled …
	seenOther    bool            // … and in a state in which it can't be
	inconclusive int             // how many got none
}

// unsent is the last send where there is none.
var unsent bridge.Attempt

// weigh reads the attempts in the order in which they were made.
func weigh(attempts []bridge.Attempt) weight {
	w := weight{sent: &unsent}
	for i := range attempts {
		a := &attempts[i]
		switch a.Kind {
		case bridge.SendCancel:
			w.send(a)
		case bridge.AskState:
			w.look(a)
		case bridge.ResolveHand:
			w.doubt, w.strict, w.gated, w.shown = false, false, false, nil
		}
	}
	return w
}

func (w *weight) send(a *bridge.Attempt) {
	w.sent, w.looked, w.shown, w.seenActive, w.seenOther, w.inconclusive = a, nil, nil, false, false, 0
	switch a.Outcome.Class {
	case bridge.Cancelled:
		w.said = a
	case bridge.None, bridge.Unknown: // None: the process died in it
		w.doubt, w.strict, w.ours, w.risk = true, true, true, a.ID
	case bridge.Unclear:
		w.doubt, w.ours, w.risk = true, true, a.ID
	case bridge.NotApplied, bridge.Misconfigured: // one that had been carried out all the same would show in what the next one is told
		if a.Outcome.Sent {
			w.gated, w.ours, w.risk = true, true, a.ID
		}
	case bridge.AlreadyCancelled: // then it was an earlier one of ours, even where that seemed disproved
		w.doubt = w.doubt || w.ours
	default:
		w.doubt = w.doubt || w.gated
	}
}

func (w *weight) look(a *bridge.Attempt) {
	w.looked = a
	switch a.Outcome.Class {
	case bridge.AlreadyCancelled:
		w.shown, w.seenActive, w.seenOther = a, false, false
	case bridge.NotApplied, bridge.Refused:
		w.seenActive, w.seenOther = true, a.Outcome.Class == bridge.Refused
		if a.Outcome.Proof {
			w.doubt, w.strict, w.gated = false, false, false
		}
	default:
		w.inconclusive++
	}
}

// proven: the document is cancelled, and by us.
func (w *weight) proven() bool { return w.said != nil || w.shown != nil && w.ours }

// cancelled is the outcome that the proof makes.
func (w *weight) cancelled(e *bridge.Entry, f *facts) bridge.Outcome {
	if w.said != nil {
		return dated(e, w.said.Outcome, f)
	}
	o := bridge.Outcome{Class: bridge.Cancelled, Date: w.shown.Outcome.Date, Sent: w.sent.Outcome.Sent}
	return dated(e, o, f)
}

// lookOutcome turns what a lookup saw into the lookup's own outcome: evidence, not yet a verdict.
func lookOutcome(s bridge.DocumentState) bridge.Outcome {
	o := bridge.Outcome{Message: s.Text, Date: s.Date, Exchanges: s.Exchanges}
	switch s.Status {
	case bridge.StatusActive:
		o.Class = bridge.NotApplied
	case bridge.StatusCancelled:
		o.Class = bridge.AlreadyCancelled
	case bridge.StatusOther:
		o.Class = bridge.Refused
	default:
		o.Class = bridge.Unknown
	}
	return o
}

// dated completes the cancel date of a Cancelled outcome: the authority's own, else the start of the first attempt in
// the authority's zone, seconds 00.
func dated(e *bridge.Entry, o bridge.Outcome, f *facts) bridge.Outcome {
	if o.Date != "" {
		if o.DateSource == "" {
			o.DateSource = bridge.DateUpstream
		}
		return o
	}
	at := e.FirstSend()
	if at.IsZero() {
		at = f.now
	}
	o.Date, o.DateSource = at.In(f.profile.Zone).Format("2006-01-02 15:04")+":00", bridge.DateEstimated
	return o
}
