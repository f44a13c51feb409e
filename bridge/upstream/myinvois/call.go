package myinvois

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// Cancel implements bridge.Upstream. What it reports is what MyInvois said about this one request; what that means for
// the document is not decided here.
func (a *Adapter) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	if !isUUID(c.Document) {
		code, message := refusal("irn", "must be 26 letters and digits, or stand in irn_map")
		return bridge.Outcome{Class: bridge.Refused, Code: code, Message: message}
	}
	return a.guard.Cancel(ctx, func(ctx context.Context) bridge.Outcome {
		if err := a.account.Admit(ctx); err != nil {
			return upstream.NotSent(err)
		}
		o := a.send(ctx, c, fence)
		a.heed(ctx, o)
		if o.Class == bridge.Cancelled && a.cfg.FetchCancelDate {
			return a.date(ctx, c, o)
		}
		return o
	})
}

// send makes the one call that cancels.
func (a *Adapter) send(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	body, err := json.Marshal(cancelRequest{Status: "cancelled", Reason: reason(c)})
	if err != nil {
		return upstream.NotSent(err) // can't be: two strings
	}
	reply, trail, err := a.call(ctx, a.profile.Cancels, upstream.Request{
		Purpose: upstream.ForCancel, Fence: fence,
		Method: http.MethodPut, Path: "/api/v1.0/documents/state/" + url.PathEscape(c.Document) + "/state",
		Route:  "/api/v1.0/documents/state/{uuid}/state",
		Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Timeout: a.cfg.CallTimeout,
	})
	if err != nil {
		o := notSent(trail, err)
		o.Sent = answered(trail)
		return o
	}
	o := classify(reply, c.Document)
	o.Exchanges, o.Sent = trail, o.Sent || answered(trail)
	switch o.Class {
	case bridge.Cancelled:
		// The reply has no date: the authority's clock as the reply shows it.
		o.Date, o.DateSource = reply.Date().In(upstream.MYT).Format(time.DateTime), bridge.DateReply
	case bridge.Refused:
		o.Alarm = a.hourly.first(o.Alarm)
	}
	a.log.Debug("myinvois rate", "upstream", a.profile.Name,
		"limit", reply.Header.Get("X-Rate-Limit-Limit"), "remaining", reply.Header.Get("X-Rate-Limit-Remaining"))
	return o
}

// answered tells whether a cancel has left: one that was stopped at the gate (401) has, even if its replay has not.
func answered(trail []bridge.Exchange) bool {
	return slices.ContainsFunc(trail, func(e bridge.Exchange) bool { return e.Purpose == string(upstream.ForCancel) && e.Status != 0 })
}

// hourly lets the alarm of a refusal through once an hour: what it asks an operator to look at is the taxpayer's
// permission, the same for each of his documents.
type hourly struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (h *hourly) first(alarm string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if last, ok := h.last[alarm]; ok && time.Since(last) < time.Hour {
		return ""
	}
	if h.last == nil {
		h.last = map[string]time.Time{}
	}
	h.last[alarm] = time.Now()
	return alarm
}

// call makes a call with the session's token, and once more with a fresh one when the gate refuses it (401): what was
// stopped there was not carried out. The repeat is booked under rate.
func (a *Adapter) call(ctx context.Context, rate bridge.Rate, q upstream.Request) (upstream.Reply, []bridge.Exchange, error) {
	var trail []bridge.Exchange
	q.Header["Accept"], q.Header["Accept-Language"] = []string{"application/json"}, []string{"en"}
	for try := 1; ; try++ {
		held, login, err := a.session.Get(ctx)
		trail = append(trail, login...)
		if err != nil {
			return upstream.Reply{}, trail, err
		}
		q.Header["Authorization"] = []string{"Bearer " + string(held.Token)}
		reply := a.api.Do(ctx, q)
		trail = append(trail, reply.Exchange(a.mask.With(string(held.Token)), q.Body, reply.Body))
		if reply.Status != http.StatusUnauthorized {
			return reply, trail, nil
		}
		a.session.Drop(held)
		if try == 2 {
			return reply, trail, nil
		}
		if err := a.guard.Admit(ctx, rate); err != nil {
			return upstream.Reply{}, trail, err
		}
	}
}

// date asks for the authority's own cancel date; without an answer the time of the reply stays.
func (a *Adapter) date(ctx context.Context, c bridge.Cancellation, o bridge.Outcome) bridge.Outcome {
	state, err := a.details(ctx, c.Document)
	o.Exchanges = append(o.Exchanges, state.Exchanges...)
	if err == nil && state.Date != "" {
		o.Date, o.DateSource = state.Date, bridge.DateUpstream
	}
	return o
}

// reason is the label with the remarks, in one line, cut at MyInvois' limit. It is never empty.
func reason(c bridge.Cancellation) string {
	text := c.Reason.Label()
	if c.Remarks != "" {
		text += ": " + c.Remarks
	}
	return strings.TrimSpace(bridge.OneLine(text, maxReason))
}

// heed makes a 429 count for every taxpayer of the client id.
func (a *Adapter) heed(ctx context.Context, o bridge.Outcome) {
	if o.HTTPStatus == http.StatusTooManyRequests {
		_ = a.account.Fail(ctx, o) // shuts the account's gate; the error is o itself
	}
}

// fail is the error of a login that failed with this outcome. The gate is shut when the outcome says so.
func (a *Adapter) fail(ctx context.Context, o bridge.Outcome) error {
	a.heed(ctx, o)
	return a.guard.Fail(ctx, o)
}

// notSent is the outcome of a call that the error stopped, with what was exchanged before.
func notSent(trail []bridge.Exchange, err error) bridge.Outcome {
	o := upstream.NotSent(err)
	o.Exchanges = append(trail[:len(trail):len(trail)], o.Exchanges...)
	return o
}

// Lookup implements bridge.Upstream. LHDN discourages it for polling: the Service asks only when in doubt.
func (a *Adapter) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return a.guard.Lookup(ctx, func(ctx context.Context) (bridge.DocumentState, error) {
		return a.details(ctx, c.Document)
	})
}

// details asks for the document (MyInvois SDK, Get Document Details). The error is a *upstream.Failure.
func (a *Adapter) details(ctx context.Context, uuid string) (bridge.DocumentState, error) {
	if err := a.account.Admit(ctx); err != nil {
		return bridge.DocumentState{}, err
	}
	if err := a.guard.Admit(ctx, a.lookups); err != nil {
		return bridge.DocumentState{}, err
	}
	reply, trail, err := a.call(ctx, a.lookups, upstream.Request{
		Purpose: upstream.ForLookup, Method: http.MethodGet, Path: "/api/v1.0/documents/" + url.PathEscape(uuid) + "/details",
		Route:  "/api/v1.0/documents/{uuid}/details",
		Header: http.Header{}, Timeout: a.cfg.LookupTimeout,
	})
	if err != nil {
		return bridge.DocumentState{Exchanges: trail}, &upstream.Failure{Outcome: notSent(trail, err)}
	}
	state, failure := readDetails(reply, uuid, a.onBehalfOf != "")
	state.Exchanges = trail
	if failure.Class == bridge.None {
		return state, nil
	}
	failure.Exchanges = trail
	if reply.Status == http.StatusUnauthorized || reply.Status == http.StatusTooManyRequests {
		return state, a.fail(ctx, failure)
	}
	// A document that may not be read is no reason to stop cancelling: the gate stays open.
	return state, &upstream.Failure{Outcome: failure}
}

// Probe implements bridge.Upstream: it logs in and asks for a document that can't exist, so that a wrong base_url or a
// token of another environment shows.
func (a *Adapter) Probe(ctx context.Context) error {
	_, err := a.details(ctx, strings.Repeat("0", 26))
	return err
}
