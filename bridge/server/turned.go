package server

import (
	"log/slog"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/soap"
)

// What follows is room: calls that get some are carried out, those that are turned away may be repeats of what is on
// record, and then are told that. A repeat is how callers come to the truth after a timeout; being busy is no reason to
// keep it from them.

// asked is a cancellation that its caller may ask for.
type asked struct {
	in     inbound
	v      *voice
	caller *access.Caller
	bridge.Request
}

// carryOut carries a cancellation out, unless its caller has too many already.
func (s *Desk) carryOut(a asked) reply {
	wait, ok := a.caller.Enter()
	if !ok {
		if !s.enterRecall() {
			return s.busy(a.in, *a.v, wait, slog.String("caller", a.caller.Name))
		}
		defer s.leaveRecall()
		return s.recall(a, wait)
	}
	defer a.caller.Leave()
	return a.v.reply(s.opt.Canceller.Cancel(a.Request))
}

// turnAway answers a call that there is no room for. To tell a repeat it must be read and its caller identified, which
// takes memory and a look into the journal: only so many at a time are looked at, so that a flood costs no more.
func (s *Desk) turnAway(in inbound) reply {
	const wait = 2 * time.Second
	v := voice{c: s.opt.Contract, version: soap.GuessVersion(in.header.ContentType), ref: in.ref}
	if !s.enterRecall() {
		return s.busy(in, v, wait)
	}
	defer s.leaveRecall()
	req, fault := s.decode(in)
	if fault != nil || req.Operation != s.opt.Contract.Cancel.Name {
		return s.busy(in, v, wait)
	}
	in.is(req.Operation)
	return s.cancel(in, req, func(s *Desk, a asked) reply { return s.recall(a, wait) })
}

// recall answers from the record; what is not there is not begun.
func (s *Desk) recall(a asked, wait time.Duration) reply {
	if soon := time.Now().Add(recallTime); soon.Before(a.Until) {
		a.Until = soon
	}
	if told, ok := s.opt.Canceller.Recall(a.Request); ok {
		return a.v.reply(told)
	}
	return s.busy(a.in, *a.v, wait, slog.String("caller", a.caller.Name))
}

func (s *Desk) enterRecall() bool {
	if s.recalls.Add(1) > int64(max(1, s.opt.InFlight/4)) {
		s.recalls.Add(-1)
		return false
	}
	return true
}

func (s *Desk) leaveRecall() { s.recalls.Add(-1) }
