package myinvois

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

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

// hidden is what a 403 means: intermediaries view only what they submitted themselves (MyInvois SDK, FAQ). It says nothing
// about the document.
const hidden = "this client may not view the document"

// readDetails is the document's state; when the reply doesn't tell it, the outcome says why. For an intermediary a document
// that it may not view can look like none.
func readDetails(r upstream.Reply, uuid string, intermediary bool) (state bridge.DocumentState, failure bridge.Outcome) {
	o := verdict(r)
	body := readObject(r)
	found := body.problems()
	_, message := summary(found)
	switch {
	case o.Class != bridge.None:
		failure = o
	case r.Status == http.StatusOK && strings.EqualFold(body.text("uuid"), uuid):
		return readState(body), failure
	case r.Status == http.StatusForbidden && len(found) > 0:
		return bridge.DocumentState{Text: bridge.OneLine(hidden+" ("+message+")", 200)}, failure
	case r.Status == http.StatusNotFound && len(found) > 0 && intermediary:
		return bridge.DocumentState{Text: bridge.OneLine("not found, or "+hidden+" ("+message+")", 200)}, failure
	case r.Status == http.StatusNotFound && len(found) > 0:
		return bridge.DocumentState{Text: bridge.OneLine(message, 200)}, failure
	case wrongPlace(r.Status), r.Status == http.StatusNotFound:
		failure = misplaced(o, "base_url")
	case r.Status == http.StatusUnauthorized:
		failure = o
		failure.Class = bridge.Misconfigured
		failure.Message = bridge.OneLine("lookup: HTTP 401: tokens are refused right after the login "+message, 200)
		failure.Alarm = otherHostAlarm
	default:
		failure = o
		failure.Class = bridge.NotApplied
		failure.Message = fmt.Sprintf("HTTP %d without the document's details", r.Status)
	}
	return state, upstream.BeforeCancel(failure)
}

// readState reads the fields that count. Only Invalid is final beside Cancelled: a submitted document becomes Valid or
// Invalid yet, and one that the buyer has asked to reject is still Valid (MyInvois SDK, Reject Document).
func readState(body object) bridge.DocumentState {
	status := body.text("status")
	state := bridge.DocumentState{Text: bridge.OneLine(status, 200)}
	switch strings.ToLower(strings.ReplaceAll(status, " ", "")) {
	case "cancelled":
		state.Status, state.Date = bridge.StatusCancelled, malaysian(body.text("cancelDateTime"))
	case "valid", "submitted", "requestedforrejection":
		state.Status = bridge.StatusActive
	case "invalid":
		state.Status = bridge.StatusOther
		if why := body.text("documentStatusReason"); why != "" {
			state.Text = bridge.OneLine(status+": "+why, 200)
		}
	}
	return state
}

// malaysian writes a UTC time of MyInvois as a cancel date; empty when it can't be read.
func malaysian(utc string) string {
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, utc); err == nil && t.Year() > 2000 {
			return t.In(upstream.MYT).Format(time.DateTime)
		}
	}
	return ""
}
