package invx

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// meaning is what an error of InvX's own means for a cancel.
type meaning struct {
	class    bridge.Class
	alarm    string
	hold     time.Duration // instead of the usual one
	unlisted bool
}

// What an operator is told.
const (
	alarmToken   = "InvX refused the token twice, freshly issued: check call_headers and the user's rights"
	alarmOrg     = "InvX refuses the organisation: check org_id and the user's membership"
	alarmRequest = "InvX finds fault with the request itself: check query and call_headers"
	alarmLimit   = "the user has ten active tokens at theodore: log other programs of this user out or give the bridge a user of its own"
	alarmKeys    = "Vayana can't decrypt what the account sends: check call_headers and the account's keys"
)

// errorNames are InvX's and theodore's own errors as documented. err-incorrect-update-action hangs on the state in its
// text, err-expired-token and err-invalid-token are answered by a new token (refusesToken) before they come here.
var errorNames = map[string]meaning{
	"err-expired-token":                      {class: bridge.Misconfigured, alarm: alarmToken},
	"err-invalid-token":                      {class: bridge.Misconfigured, alarm: alarmToken},
	"err-invalid-org":                        {class: bridge.Misconfigured, alarm: alarmOrg},
	"err-resource-not-found":                 {class: bridge.Refused},
	"err-issue-with-parameter":               {class: bridge.Refused, alarm: alarmRequest},
	"err-irp-returned-error":                 {class: bridge.Unknown}, // without the authority's own words
	tokenLimit:                               {class: bridge.Misconfigured, alarm: alarmLimit, hold: tokenLimitHold},
	"err-unable-to-decrypt-message-with-key": {class: bridge.Misconfigured, alarm: alarmKeys},
	"err-aes-decryption-failed":              {class: bridge.Misconfigured, alarm: alarmKeys},
}

// The names that more than the table depends on.
const (
	wrongState = "err-incorrect-update-action"
	tokenLimit = "err-active-tokens-limit-exceeded"
)

// The states of a document (InvX API, Cancel Invoice Bulk, Note).
const cancelled = "240"

var stateNames = map[string]string{
	"100": "DRAFT", "120": "REGISTRATIONFAILED", "200": "CREATED", "210": "ACCEPTED", "220": "DENIED", "230": "DISPUTED",
	"240": "CANCELLED", "250": "FROZEN", "260": "DELETE",
}

// live states can still be cancelled; every other but 240 is final.
var live = map[string]bool{"200": true, "210": true, "220": true, "230": true}

func stateName(state string) string {
	if name, ok := stateNames[state]; ok {
		return name
	}
	return "state " + state
}

// inState finds the document's state in the text of err-incorrect-update-action: "action can on state 240".
var inState = regexp.MustCompile(`on state (\d+)`)

func (f fault) state() string {
	if f.name != wrongState {
		return ""
	}
	if m := inState.FindStringSubmatch(f.text); m != nil {
		return m[1]
	}
	return ""
}

// meaning of one error; status decides about names that are not documented.
func (f fault) meaning(status int) meaning {
	known, ok := errorNames[f.name]
	switch {
	case f.name == wrongState && f.state() == cancelled:
		return meaning{class: bridge.AlreadyCancelled}
	case f.name == wrongState:
		return meaning{class: bridge.Refused}
	case ok:
		return known
	case f.kind == "Authorization" || status == http.StatusForbidden:
		return meaning{class: bridge.Misconfigured, alarm: "InvX refuses the call: " + f.String(), unlisted: true}
	case status == http.StatusTooManyRequests || status == http.StatusTooEarly:
		return meaning{class: bridge.NotApplied, unlisted: true}
	case status == http.StatusRequestTimeout || status >= 500:
		return meaning{class: bridge.Unknown, unlisted: true}
	}
	return meaning{class: bridge.Refused, unlisted: true}
}

// refusal is why InvX did not accept a token.
type refusal uint8

const (
	accepted refusal = iota
	expired          // refresh it
	invalid          // log in again
)

// refusesToken tells whether the reply turned the call away because of its token. InvX says 403 for an expired one.
func (b body) refusesToken(status int) refusal {
	for _, f := range b.Error {
		switch f.name {
		case "err-expired-token":
			return expired
		case "err-invalid-token":
			return invalid
		case tokenLimit:
			return accepted // another login would make it worse
		}
	}
	if status == http.StatusUnauthorized {
		return invalid
	}
	return accepted
}

// classify says what the reply to a cancel means. The body comes before the status: verdicts arrive on 502 and 400.
func classify(reply upstream.Reply, b body, irn string) bridge.Outcome {
	switch {
	case reply.Err != nil:
		return reply.Verdict()
	case !b.readable:
		return unreadable(reply)
	case len(b.Error) > 0:
		return b.Error.outcome(reply)
	}
	items, ok := b.items()
	if !ok || len(items) != 1 {
		return withoutItem(reply, b)
	}
	it := items[0]
	switch {
	case len(it.Errors) > 0:
		return it.Errors.outcome(reply)
	case b.Status != "1" || it.Status != "1" || reply.Status/100 != 2:
		return doubt(reply, "InvX gives neither success nor a reason")
	case it.Data.State != cancelled:
		return doubt(reply, "InvX reports success, but the document's state is "+stateName(string(it.Data.State)))
	case !strings.EqualFold(it.Data.IRN, irn):
		return doubt(reply, "InvX reports success for another IRN")
	}
	o := reply.Outcome(bridge.Cancelled, "")
	if o.Date, o.DateSource = it.Data.cancelDate(), bridge.DateUpstream; o.Date == "" {
		o.Date, o.DateSource = reply.Date().In(upstream.IST).Format(time.DateTime), bridge.DateReply
	}
	return o
}

// unreadable is for a body that is no JSON object: then only the status is left.
func unreadable(reply upstream.Reply) bridge.Outcome {
	o := reply.Verdict()
	switch s := reply.Status; {
	case o.Class != bridge.None:
	case s/100 == 3, s == http.StatusForbidden, s == http.StatusNotFound, s == http.StatusMethodNotAllowed:
		o.Class, o.Message = bridge.Misconfigured, fmt.Sprintf("HTTP %d without an answer of InvX", s)
		o.Alarm = o.Message + ": check base_url"
	default:
		o.Class, o.Message = bridge.Unknown, fmt.Sprintf("HTTP %d with a body that can't be read", s)
	}
	return o
}

// withoutItem is for a reply that names no error and does not hold exactly the one item that was sent.
func withoutItem(reply upstream.Reply, b body) bridge.Outcome {
	if o := reply.Verdict(); o.Class != bridge.None {
		return o
	}
	return doubt(reply, fmt.Sprintf("HTTP %d, status %q without the document", reply.Status, b.Status))
}

func doubt(reply upstream.Reply, message string) bridge.Outcome {
	return reply.Outcome(bridge.Unknown, message)
}

// outcome weighs the errors of a reply. What the tax authority said decides; else InvX's own.
func (fs faults) outcome(reply upstream.Reply) bridge.Outcome {
	o := reply.Outcome(bridge.None, fs.text())
	o.Code = fs.codes()
	if nic := fs.nic(); len(nic) > 0 {
		class, unclassified := nic.Class()
		o.Class, o.Code, o.Message, o.Unclassified = class.Gateway(), nic.Codes(), nic.Message(), unclassified
		if class == upstream.IRPConfig || class == upstream.IRPPayload {
			o.Alarm = "the tax authority refuses what InvX sent for this taxpayer: " + o.Message
		}
		return o
	}
	for _, f := range fs {
		o = merge(o, f.meaning(reply.Status))
	}
	return o
}

// merge adds one error's meaning to the others': credentials come first, "already" beside anything else is doubtful.
func merge(o bridge.Outcome, m meaning) bridge.Outcome {
	o.Unclassified = o.Unclassified || m.unlisted
	if o.Alarm == "" {
		o.Alarm = m.alarm
	}
	o.RetryAfter = max(o.RetryAfter, m.hold)
	switch {
	case o.Class == bridge.None || m.class == bridge.Misconfigured:
		o.Class = m.class
	case o.Class != m.class && o.Class != bridge.Misconfigured:
		o.Class = bridge.Unknown
	}
	return o
}
