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
		Purpose: "lookup", Method: http.MethodGet, Path: "/api/v1.0/documents/" + url.PathEscape(uuid) + "/details",
		Route:  "/api/v1.0/documents/{uuid}/details",
		Header: http.Header{}, Timeout: a.cfg.LookupTimeout,
	})
	if err != nil {
		return bridge.DocumentState{Exchanges: trail}, &upstream.Failure{Outcome: notSent(trail, err)}
	}
	state, failure := readDetails(reply, uuid)
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

// readDetails is the document's state; when the reply doesn't tell it, the outcome says why.
func readDetails(r upstream.Reply, uuid string) (state bridge.DocumentState, failure bridge.Outcome) {
	o := verdict(r)
	body := readObject(r)
	found := body.problems()
	_, message := summary(found)
	switch {
	case o.Class != bridge.None:
		failure = o
	case r.Status == http.StatusOK && strings.EqualFold(body.text("uuid"), uuid):
		return readState(body), failure
	case r.Status == http.StatusNotFound && len(found) > 0:
		return bridge.DocumentState{Text: bridge.OneLine(message, 200)}, failure
	case wrongPlace(r.Status), r.Status == http.StatusNotFound:
		failure = misplaced(o, "base_url")
	case r.Status == http.StatusUnauthorized, r.Status == http.StatusForbidden && len(found) > 0:
		failure = o
		failure.Class = bridge.Misconfigured
		failure.Message = fmt.Sprintf("HTTP %d %s", r.Status, bridge.OneLine(message, 200))
		failure.Alarm = "MyInvois refuses to show documents (" + failure.Message + "): check the permissions in the portal"
	default:
		failure = o
		failure.Class = bridge.NotApplied
		failure.Message = fmt.Sprintf("HTTP %d without the document's details", r.Status)
	}
	return state, upstream.BeforeCancel(failure)
}

// readState reads the fields that count. Submitted and Invalid documents can't be cancelled.
func readState(body object) bridge.DocumentState {
	status := body.text("status")
	switch strings.ToLower(status) {
	case "cancelled":
		return bridge.DocumentState{Status: bridge.StatusCancelled, Date: malaysian(body.text("cancelDateTime"))}
	case "valid":
		return bridge.DocumentState{Status: bridge.StatusActive}
	case "submitted", "invalid":
		if why := body.text("documentStatusReason"); why != "" {
			status += ": " + why
		}
		return bridge.DocumentState{Status: bridge.StatusOther, Text: status}
	}
	return bridge.DocumentState{Text: bridge.OneLine(status, 200)}
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
