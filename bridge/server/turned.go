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

// asked is a cancellation that its caller may ask for, and all that is held while he waits.
type asked struct {
	in     *inbound
	v      voice
	caller *access.Caller
	bridge.Request
}

// fill completes the request from its envelope, of which so many bytes at most are kept.
func (a *asked) fill(req *soap.Request, most int) {
	r := &a.Request
	r.Ref, r.Caller, r.Context = a.in.ref, a.caller.Name, a.in.trace
	r.IRN, r.Reason, r.Remarks = req.Text(soap.SlotIRN), req.Text(soap.SlotCancelReason), req.Text(soap.SlotCancelRemarks)
	r.Received, r.Until = a.in.received, a.in.received.Add(a.caller.Within)
	r.SOAPIn, r.Render = req.Masked(most), a.v.render
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
func (s *Desk) carryOut(a *asked) reply {
	p := a.in.place
	if wait, ok := s.roomFor(a); !ok {
		p.leave()
		return s.crowdedOut(a, wait)
	}
	defer a.caller.Leave()
	a.Carried = p.keep
	ans := s.opt.Canceller.Cancel(&a.Request)
	if ans.Fault == bridge.FaultWaiting {
		upstream, _ := s.opt.Upstream(a.Taxpayer)
		p.wait(waitingPool(upstream))
	}
	return a.v.reply(ans)
}

// roomFor takes a call in, or tells when there may be room for it.
func (s *Desk) roomFor(a *asked) (wait time.Duration, ok bool) {
	upstream, _ := s.opt.Upstream(a.Taxpayer)
	if s.places.crowded(s.opt.InFlight, waitingPool(upstream)) || !a.in.place.become(callerPool(a.caller.Name), upstreamPool(upstream)) {
		return turnedAwayFor, false
	}
	return a.caller.Enter()
}

// crowdedOut answers from the record what there is no room to carry out.
func (s *Desk) crowdedOut(a *asked, wait time.Duration) reply {
	p, ok := s.recalls.enter(recallsMost(s.opt.InFlight), recallPool(a.caller.Name))
	if !ok {
		return s.busy(a.in, &a.v, wait, slog.String("caller", a.caller.Name))
	}
	defer p.leave()
	return s.recall(a, wait)
}

// turnAway answers a call that there is no room for. To tell a repeat it must be read and its caller identified, which
// takes memory and a look into the journal: only so many at a time are looked at, so that a flood costs no more.
func (s *Desk) turnAway(in *inbound) reply {
	v := s.voice(in, soap.GuessVersion(in.header.ContentType))
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
	return s.cancel(in, req)
}

// recall answers from the record; what is not there is not begun.
func (s *Desk) recall(a *asked, wait time.Duration) reply {
	if soon := time.Now().Add(recallTime); soon.Before(a.Until) {
		a.Until = soon
	}
	if told, ok := s.opt.Canceller.Recall(&a.Request); ok {
		return a.v.reply(told)
	}
	return s.busy(a.in, &a.v, wait, slog.String("caller", a.caller.Name))
}
