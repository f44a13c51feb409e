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

// The pools that have no name.
var (
	arriving  = pool{kind: bridge.PoolArriving}
	loggingIn = pool{kind: bridge.PoolLogin}
	relaying  = pool{kind: bridge.PoolRelay}
)

func callerPool(name string) pool   { return pool{bridge.PoolCaller, name} }
func upstreamPool(name string) pool { return pool{bridge.PoolUpstream, name} }
func waitingPool(name string) pool  { return pool{bridge.PoolWaiting, name} }
func recallPool(caller string) pool { return pool{bridge.PoolRecall, caller} }

// showPools shows all pools of the desk.
func (s *Desk) showPools() {
	s.places.know(arriving, loggingIn, relaying)
	s.recalls.know(recallPool(""))
	for _, name := range s.opt.Access.Callers() {
		s.places.know(callerPool(name))
	}
	for _, name := range s.opt.Upstreams {
		s.places.know(upstreamPool(name), waitingPool(name))
	}
}

// turnedAwayFor is when a call that found no place may come again.
const turnedAwayFor = 2 * time.Second

// recallsMost is how many calls that are turned away may ask the record at a time; of one caller half as many.
func recallsMost(inFlight int) int { return max(1, inFlight/2) }

// carryOut carries a cancellation out, unless its caller has too many already, or its upstream. The place is held until
// the work has ended, though the answer be there before; work that waits its turn then, which may take half an hour and no
// authority's time, holds a place among its like.
func (s *Desk) carryOut(a asked) reply {
	p := a.in.place
	upstream, _ := s.opt.Upstream(a.Taxpayer)
	wait, ok := turnedAwayFor, !s.places.crowded(s.opt.InFlight, waitingPool(upstream)) && p.become(callerPool(a.caller.Name), upstreamPool(upstream))
	if ok {
		wait, ok = a.caller.Enter()
	}
	if !ok {
		p.leave()
		p, ok := s.recalls.enter(recallsMost(s.opt.InFlight), recallPool(a.caller.Name))
		if !ok {
			return s.busy(a.in, *a.v, wait, slog.String("caller", a.caller.Name))
		}
		defer p.leave()
		return s.recall(a, wait)
	}
	defer a.caller.Leave()
	a.Carried = p.keep
	ans := s.opt.Canceller.Cancel(a.Request)
	if ans.Fault == bridge.FaultWaiting {
		p.wait(waitingPool(upstream))
	}
	return a.v.reply(ans)
}

// turnAway answers a call that there is no room for. To tell a repeat it must be read and its caller identified, which
// takes memory and a look into the journal: only so many at a time are looked at, so that a flood costs no more.
func (s *Desk) turnAway(in inbound) reply {
	v := voice{c: s.opt.Contract, version: soap.GuessVersion(in.header.ContentType), ref: in.ref}
	p, ok := s.recalls.enter(recallsMost(s.opt.InFlight), recallPool(""))
	if !ok {
		return s.busy(in, v, turnedAwayFor)
	}
	defer p.leave()
	req, fault := s.decode(in)
	if fault != nil || req.Operation != s.opt.Contract.Cancel.Name {
		return s.busy(in, v, turnedAwayFor)
	}
	in.is(req.Operation)
	return s.cancel(in, req, func(s *Desk, a asked) reply { return s.recall(a, turnedAwayFor) })
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
