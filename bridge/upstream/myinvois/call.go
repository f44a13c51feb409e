package myinvois

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

type visit = upstream.Visit[token, *upstream.Reply]

// Cancel implements bridge.Upstream. What it reports is what MyInvois said about this one request; what that means for
// the document is not decided here.
func (a *Adapter) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	if !isUUID(c.Document) {
		code, message := upstream.LHDNRefusal("irn", "must be 26 letters and digits, or stand in irn_map")
		return bridge.Outcome{Class: bridge.Refused, Code: code, Message: message}
	}
	return *a.visits.Cancel(ctx, func(ctx context.Context, v *visit) *bridge.Outcome {
		if err := a.clientGuard.Admit(ctx); err != nil {
			return upstream.NotSent(err)
		}
		o := a.send(ctx, v, &c, fence)
		a.holdClient(ctx, o)
		if o.Class == bridge.Cancelled && a.cfg.FetchCancelDate {
			a.date(ctx, &c, o)
		}
		return o
	})
}

// send makes the one call that cancels.
func (a *Adapter) send(ctx context.Context, v *visit, c *bridge.Cancellation, fence bridge.Fence) *bridge.Outcome {
	body, err := json.Marshal(cancelRequest{Status: "cancelled", Reason: upstream.LHDNReason(*c)})
	if err != nil {
		return upstream.NotSent(err) // can't be: two strings
	}
	reply, err := v.Call(ctx, bearer(&upstream.Request{
		Purpose: upstream.ForCancel, Fence: fence,
		Method: http.MethodPut, Path: "/api/v1.0/documents/state/" + url.PathEscape(c.Document) + "/state",
		Route:  "/api/v1.0/documents/state/{uuid}/state",
		Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Timeout: a.profile.CallTimeout,
	}))
	if err != nil {
		return upstream.NotSent(err)
	}
	return a.end(reply, readObject(reply), c.Document) // read before there are Outcomes on the stack: that is deep
}

// end is what became of a cancel that was sent.
//
//go:noinline // an Outcome would stand on the stack of every call that waits
func (a *Adapter) end(reply *upstream.Reply, body object, uuid string) *bridge.Outcome {
	o := classify(reply, body, uuid)
	switch o.Class {
	case bridge.Cancelled:
		// The reply has no date: the authority's clock as the reply shows it.
		o.Date, o.DateSource = reply.Date().In(upstream.MYT).Format(time.DateTime), bridge.DateReply
	case bridge.Refused: // what its alarm asks to look at is the taxpayer's permission, the same for each of his documents
		if last, ok := a.alarms.Get(o.Alarm); ok && time.Since(last) < time.Hour {
			o.Alarm = ""
		} else {
			a.alarms.Put(o.Alarm, time.Now())
		}
	}
	a.log.Debug("myinvois rate", "upstream", a.profile.Name,
		"limit", reply.Header.Get("X-Rate-Limit-Limit"), "remaining", reply.Header.Get("X-Rate-Limit-Remaining"))
	return &o
}

// Lookup implements bridge.Upstream. LHDN discourages it for polling: the Service asks only when in doubt.
func (a *Adapter) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return a.visits.Guard.Lookup(ctx, func(ctx context.Context) (bridge.DocumentState, error) {
		return a.details(ctx, c.Document)
	})
}

// Probe implements bridge.Upstream: it logs in and asks for a document that can't exist, so that a wrong base_url or a
// token of another environment shows.
func (a *Adapter) Probe(ctx context.Context) error {
	_, err := a.details(ctx, strings.Repeat("0", 26))
	return err
}

// details asks for the document (MyInvois SDK, Get Document Details). The error is a *upstream.Failure.
func (a *Adapter) details(ctx context.Context, uuid string) (bridge.DocumentState, error) {
	if err := a.clientGuard.Admit(ctx); err != nil {
		return bridge.DocumentState{}, err
	}
	if err := a.visits.Guard.Admit(ctx, a.lookups); err != nil {
		return bridge.DocumentState{}, err
	}
	v := a.visits.Start()
	reply, err := v.Call(ctx, bearer(&upstream.Request{
		Purpose: upstream.ForLookup, Method: http.MethodGet, Path: "/api/v1.0/documents/" + url.PathEscape(uuid) + "/details",
		Route:  "/api/v1.0/documents/{uuid}/details",
		Header: http.Header{}, Timeout: a.profile.LookupTimeout,
	}))
	if err != nil {
		o := v.End(upstream.NotSent(err))
		return bridge.DocumentState{Exchanges: o.Exchanges}, &upstream.Failure{Outcome: *o}
	}
	state, failure := readDetails(reply, uuid, a.onBehalfOf != "")
	v.End(&failure)
	state.Exchanges = failure.Exchanges
	switch {
	case failure.Class == bridge.None:
		return state, nil
	case reply.Status == http.StatusUnauthorized, reply.Status == http.StatusTooManyRequests:
		return state, a.fail(ctx, failure)
	}
	// A document that may not be read is no reason to stop cancelling: the gate stays open.
	return state, &upstream.Failure{Outcome: failure}
}

// bearer puts the session's token on a call.
func bearer(q *upstream.Request) func(token) (*upstream.Request, error) {
	q.Header["Accept"], q.Header["Accept-Language"] = []string{"application/json"}, []string{"en"}
	return func(t token) (*upstream.Request, error) {
		q.Header["Authorization"] = []string{"Bearer " + string(t)}
		return q, nil
	}
}

// bookReplay books a call that is made again.
func (a *Adapter) bookReplay(ctx context.Context, q *upstream.Request) error {
	if q.Purpose == upstream.ForCancel {
		return a.visits.Guard.Admit(ctx, a.profile.Cancels)
	}
	return a.visits.Guard.Admit(ctx, a.lookups)
}

// date asks for the authority's own cancel date; without an answer the time of the reply stays.
func (a *Adapter) date(ctx context.Context, c *bridge.Cancellation, o *bridge.Outcome) {
	state, err := a.details(ctx, c.Document)
	o.Exchanges = append(o.Exchanges, state.Exchanges...)
	if err == nil && state.Date != "" {
		o.Date, o.DateSource = state.Date, bridge.DateUpstream
	}
}

// holdClient makes a 429 count for every taxpayer of the client id.
func (a *Adapter) holdClient(ctx context.Context, o *bridge.Outcome) {
	if o.HTTPStatus == http.StatusTooManyRequests {
		_ = a.clientGuard.Fail(ctx, *o) // shuts the account's gate; the error is o itself
	}
}

// fail is the error of a login that failed with this outcome. The gate is shut when the outcome says so.
func (a *Adapter) fail(ctx context.Context, o bridge.Outcome) error {
	a.holdClient(ctx, &o)
	return a.visits.Guard.Fail(ctx, o)
}
