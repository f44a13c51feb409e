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

type visit = upstream.Visit[*session, *answer]

// Cancel implements bridge.Upstream (NIC e-invoice API, "Cancel IRN").
func (a *Adapter) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	return *a.visits.Cancel(ctx, func(ctx context.Context, v *visit) *bridge.Outcome {
		plain := upstream.JSON(cancelRequest{c.Document, string(c.Reason), upstream.Cut(irp.Remarks(c), irp.MaxRemarks)})
		ans, err := a.call(ctx, v, func(s *session) (*upstream.Request, error) {
			return &upstream.Request{
				Purpose: upstream.ForCancel, Fence: fence, Method: http.MethodPost, Path: a.cfg.CancelPath, Header: s.header,
				Body: sealedBody(s, plain), Plain: plain, Timeout: a.profile.CallTimeout,
			}, nil
		})
		return ans.end(err, c)
	})
}

// end is what became of a cancel.
//
//go:noinline // an Outcome would stand on the stack of every call that waits
func (a *answer) end(err error, c bridge.Cancellation) *bridge.Outcome {
	if err != nil {
		return upstream.NotSent(err)
	}
	o := a.outcome(c)
	return &o
}

// Lookup implements bridge.Upstream (NIC e-invoice API, "Get e-Invoice by IRN"). NIC names no cancel date.
func (a *Adapter) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	route, _, _ := strings.Cut(a.cfg.GetPath, "?")
	path := strings.ReplaceAll(a.cfg.GetPath, irnPlace, url.QueryEscape(c.Document))
	return a.visits.Lookup(ctx, func(ctx context.Context, v *visit) (bridge.DocumentState, error) {
		ans, err := a.call(ctx, v, func(s *session) (*upstream.Request, error) {
			return &upstream.Request{
				Purpose: upstream.ForLookup, Method: http.MethodGet, Path: path, Route: route, Header: s.header, Timeout: a.profile.LookupTimeout,
			}, nil
		})
		if err != nil {
			return bridge.DocumentState{}, err
		}
		return ans.found(c)
	})
}

// Probe implements bridge.Upstream.
func (a *Adapter) Probe(ctx context.Context) error {
	_, _, err := a.visits.Session.Get(ctx)
	return err
}

// call makes one call, and the same once more at NIC's other system when the answer is 2148: the IRN is registered there,
// and nothing was carried out here (NIC e-invoice API, "Cancel IRN", header irp; checked 2026-11). What that system makes
// of a token or of settings with which this one has just answered says nothing about them: then 2148 stands.
func (a *Adapter) call(ctx context.Context, v *visit, build func(*session) (*upstream.Request, error)) (*answer, error) {
	ans, err := v.Call(ctx, build)
	if err != nil || !ans.atOtherSystem() {
		return ans, err
	}
	return a.callOther(ctx, v, build, ans)
}

// callOther makes the call at the other system, for an answer that said 2148.
func (a *Adapter) callOther(ctx context.Context, v *visit, build func(*session) (*upstream.Request, error), ans *answer) (*answer, error) {
	other, err := v.Once(ctx, func(s *session) (*upstream.Request, error) {
		there := *s
		there.header = a.cfg.crossHeader(s.header)
		return build(&there)
	})
	switch {
	case err != nil:
		return ans, err
	case other.atOtherSystem():
		other.where = "neither NIC1 nor NIC2 has this IRN: was it registered at another IRP, or in another environment than base_url's?"
	case !other.letIn():
		ans.where = "this IRN is registered at NIC's other system, " + a.cfg.otherIRP() + ", which did not let the call in: cancel it on that system's portal, or there with access of its own"
		return ans, nil
	}
	return other, nil
}
