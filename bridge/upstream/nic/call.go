package nic

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// Cancel implements bridge.Upstream (NIC e-invoice API, "Cancel IRN").
func (a *Adapter) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	return a.guard.Cancel(ctx, func(ctx context.Context) bridge.Outcome {
		plain := marshal(cancelRequest{c.Document, string(c.Reason), upstream.Cut(irp.Remarks(c), maxRemarks)})
		ans, trail, sent, err := a.call(ctx, upstream.ForCancel, plain, func(s *session) upstream.Request {
			return upstream.Request{
				Purpose: upstream.ForCancel, Fence: fence, Method: http.MethodPost, Path: a.cfg.CancelPath, Header: s.header,
				Body: sealedBody(s, plain), Timeout: a.cfg.CallTimeout,
			}
		})
		var o bridge.Outcome
		switch {
		case err != nil:
			o = upstream.NotSent(err)
			trail = append(trail, o.Exchanges...)
		case ans.verdict == tokenRefused:
			o = ans.refusedAgain()
		default:
			o = ans.outcome(c)
		}
		o.Exchanges, o.Sent = trail, sent
		return ans.words(o)
	})
}

// Lookup implements bridge.Upstream (NIC e-invoice API, "Get e-Invoice by IRN"). NIC names no cancel date.
func (a *Adapter) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return a.guard.Lookup(ctx, func(ctx context.Context) (bridge.DocumentState, error) { return a.lookup(ctx, c) })
}

// Probe implements bridge.Upstream.
func (a *Adapter) Probe(ctx context.Context) error {
	_, _, err := a.session.Get(ctx)
	return err
}

// call makes one call, and the same once more at NIC's other system when the answer is 2148: the IRN is registered there,
// and nothing was carried out here (NIC e-invoice API, "Cancel IRN", header irp; checked 2026-11). What that system makes
// of a token or of settings with which this one has just answered says nothing about them: then 2148 stands.
func (a *Adapter) call(ctx context.Context, purpose upstream.Purpose, plain []byte, build func(*session) upstream.Request) (ans answer, trail []bridge.Exchange, sent bool, err error) {
	ans, trail, sent, err = a.ask(ctx, purpose, plain, build)
	if err != nil || !ans.elsewhere() {
		return ans, trail, sent, err
	}
	held, logins, err := a.session.Get(ctx)
	trail = append(trail, logins...)
	if err != nil {
		return ans, trail, sent, err
	}
	there := *held.Token
	there.header = a.cfg.crossHeader(there.header)
	other := read(a.client.Do(ctx, build(&there)), &there)
	trail, sent = append(trail, other.Exchange(there.mask, plain, other.plainBody())), sent || other.Written
	switch {
	case other.elsewhere():
		other.where = "neither NIC1 nor NIC2 has this IRN: was it registered at another IRP, or in another environment than base_url's?"
	case other.letIn():
	default:
		ans.where = "this IRN is registered at NIC's other system, " + a.cfg.otherIRP() + ", which did not let the call in: cancel it on that system's portal, or there with access of its own"
		return ans, trail, sent, nil
	}
	return other, trail, sent, nil
}

// ask makes one call under the session, and the same once more after a new login when it was stopped at the gate. A
// lookup whose reply can't be decrypted is repeated, too; a cancel never is. sent tells whether a byte of either has left.
// An error means that there was no session to call with.
func (a *Adapter) ask(ctx context.Context, purpose upstream.Purpose, plain []byte, build func(*session) upstream.Request) (ans answer, trail []bridge.Exchange, sent bool, err error) {
	for replayed := false; ; replayed = true {
		held, logins, err := a.session.Get(ctx)
		trail = append(trail, logins...)
		if err != nil {
			return ans, trail, sent, err
		}
		s := held.Token
		ans = read(a.client.Do(ctx, build(s)), s)
		trail, sent = append(trail, ans.Exchange(s.mask, plain, ans.plainBody())), sent || ans.Written
		switch ans.verdict {
		case tokenRefused:
			a.session.Drop(held)
		case sealed:
			a.session.Forget(held)
		}
		again := ans.verdict == tokenRefused || ans.verdict == sealed && purpose == upstream.ForLookup
		if !again || replayed {
			return ans, trail, sent, nil
		}
	}
}

func (a *Adapter) lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	route, _, _ := strings.Cut(a.cfg.GetPath, "?")
	ans, trail, _, err := a.call(ctx, upstream.ForLookup, nil, func(s *session) upstream.Request {
		return upstream.Request{
			Purpose: upstream.ForLookup, Method: http.MethodGet, Path: strings.ReplaceAll(a.cfg.GetPath, irnPlace, url.QueryEscape(c.Document)), Route: route,
			Header: s.header, Timeout: a.cfg.LookupTimeout,
		}
	})
	if err != nil {
		o := upstream.NotSent(err)
		o.Exchanges = append(trail, o.Exchanges...)
		return bridge.DocumentState{}, &upstream.Failure{Outcome: o}
	}
	state := bridge.DocumentState{Exchanges: trail}
	switch ans.verdict {
	case answered:
		state.Status, state.Text = ans.state(c)
		return state, nil
	case tokenRefused:
		return bridge.DocumentState{}, a.failed(ctx, ans, ans.refusedAgain(), trail)
	case sealed:
		o := ans.Outcome(bridge.NotApplied, "the lookup's data can't be decrypted")
		return bridge.DocumentState{}, a.failed(ctx, ans, o, trail)
	}
	switch o := ans.outcome(c); o.Class {
	case bridge.Refused, bridge.AlreadyCancelled, bridge.Unclear:
		// 2148, 2154 and 2283 say that this system has no record (any more), others that it won't show it: no proof.
		state.Text = ans.words(o).Message
		return state, nil
	default:
		if o.HTTPStatus == http.StatusNotFound {
			o.Class = bridge.NotApplied // a wrong lookup_path is no reason to stop cancels
		}
		return bridge.DocumentState{}, a.failed(ctx, ans, o, trail)
	}
}

// failed ends a lookup that got no answer.
func (a *Adapter) failed(ctx context.Context, ans answer, o bridge.Outcome, trail []bridge.Exchange) error {
	o.Exchanges = trail
	return a.guard.Fail(ctx, ans.words(o))
}
