package invx

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// who says no in alarms: the words are often those of the tax authority.
const who = "InvX, or NIC behind it,"

// meaning is what an error of InvX's own means for a cancel.
type meaning struct {
	class    irp.Class
	alarm    string
	hold     time.Duration // instead of the usual one
	byState  bool          // the document's state decides what it means
	unlisted bool
}

// What an operator is told.
const (
	alarmToken   = "InvX refused the token twice, freshly issued: check call_headers and the user's rights"
	alarmOrg     = "InvX refuses the organisation: check org_id and the user's membership"
	alarmRequest = "InvX finds fault with the request itself: check query and call_headers"
	alarmLimit   = "the user has ten active tokens at theodore: log other programs of this user out or give the bridge a user of its own"
	alarmBody    = "InvX can't read the cancel that the bridge sends: report this fault of the bridge"
	alarmKeys    = "Vayana can't decrypt what the account sends: check call_headers and the account's keys"
)

// errorNames are InvX's and theodore's own errors as documented. err-incorrect-update-action hangs on the state in its
// text, err-expired-token and err-invalid-token are answered by a new token (refusesToken) before they come here. A
// document that isn't found may be one that isn't there yet: reads lag writes.
var errorNames = map[string]meaning{
	"err-expired-token":                      {class: irp.Config, alarm: alarmToken},
	"err-invalid-token":                      {class: irp.Config, alarm: alarmToken},
	"err-invalid-org":                        {class: irp.Config, alarm: alarmOrg},
	"err-resource-not-found":                 {class: irp.Business, byState: true},
	"err-issue-with-parameter":               {class: irp.Payload, alarm: alarmRequest},
	"err-invalid-request-body":               {class: irp.Unlisted, alarm: alarmBody}, // says nothing of the document
	"err-irp-returned-error":                 {class: irp.Temporary},                  // without the authority's own words
	tokenLimit:                               {class: irp.Config, alarm: alarmLimit, hold: tokenLimitHold},
	"err-unable-to-decrypt-message-with-key": {class: irp.Config, alarm: alarmKeys},
	"err-aes-decryption-failed":              {class: irp.Config, alarm: alarmKeys},
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

// live states can still be cancelled, final ones never.
var (
	live  = map[string]bool{"200": true, "210": true, "220": true, "230": true}
	final = map[string]bool{"100": true, "120": true, "250": true, "260": true}
)

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

// meaning of one error of InvX's own.
func (f fault) meaning(status int) meaning {
	known, ok := errorNames[f.name]
	switch {
	case f.name == wrongState && f.state() == cancelled:
		return meaning{class: irp.Already}
	case f.name == wrongState: // without a state that says why, the document has to
		return meaning{class: irp.Business, byState: !final[f.state()]}
	case ok:
		return known
	case f.kind == "Authorization" || status == http.StatusForbidden:
		return meaning{class: irp.Config, alarm: "InvX refuses the call: " + f.String(), unlisted: true}
	}
	class, unlisted := irp.Errors{{Code: f.name, Text: f.text}}.Class()
	return meaning{class: class, unlisted: unlisted}
}

// refusal is why InvX did not accept a token.
type refusal uint8

const (
	accepted refusal = iota
	expired          // refresh it
	invalid          // log in again
)

// refusesToken tells whether the reply turned the call away because of its token. InvX says 403 for an expired one, a
// gateway before it "105: Invalid Token".
func (b *body) refusesToken(status int) refusal {
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
	errs := append(b.Error.nic(), b.envelope...)
	if class, _ := errs.Class(); status == http.StatusUnauthorized || class == irp.Token && errs.Has("105", "106") {
		return invalid
	}
	return accepted
}

// classify says what the reply to a cancel means. The body comes before the status: verdicts arrive on 502 and 400.
func classify(reply *upstream.Reply, b *body, irn string) bridge.Outcome {
	switch {
	case reply.Err != nil:
		return reply.Verdict()
	case b.gateway:
		return b.envelope.GSPOutcome(reply, who)
	case !b.readable:
		return unreadable(reply)
	case len(b.Error) > 0 && b.Status == "1":
		return doubt(reply, "InvX reports success and an error in one: "+b.Error.list().Message())
	case len(b.Error) > 0:
		return b.Error.outcome(reply)
	}
	items, ok := b.items()
	if !ok || len(items) != 1 {
		return withoutItem(reply, b)
	}
	switch it := &items[0]; {
	case len(it.Errors) > 0 && it.Status == "1":
		return doubt(reply, "InvX reports success and an error in one: "+it.Errors.list().Message())
	case len(it.Errors) > 0, it.Status == "0":
		return it.Errors.outcome(reply)
	case b.Status != "1" || it.Status != "1" || reply.Status/100 != 2:
		return doubt(reply, "InvX gives neither success nor a reason")
	default:
		return it.Data.done(reply, irn)
	}
}

// done is what a success says about the document.
func (d document) done(reply *upstream.Reply, irn string) bridge.Outcome {
	switch {
	case d.State != cancelled:
		return doubt(reply, "InvX reports success, but the document's state is "+stateName(string(d.State)))
	case !strings.EqualFold(d.IRN, irn):
		return doubt(reply, "InvX reports success for another IRN")
	}
	return reply.Cancelled(d.cancelDate(), upstream.IST)
}

// unreadable is for a body that is no JSON object: then only the status is left.
func unreadable(reply *upstream.Reply) bridge.Outcome {
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
func withoutItem(reply *upstream.Reply, b *body) bridge.Outcome {
	if b.Status == "0" {
		return faults(nil).outcome(reply)
	}
	if o := reply.Verdict(); o.Class != bridge.None {
		return o
	}
	return doubt(reply, fmt.Sprintf("HTTP %d, status %q without the document", reply.Status, b.Status))
}

func doubt(reply *upstream.Reply, message string) bridge.Outcome {
	return reply.Outcome(bridge.Unknown, message)
}

// outcome weighs the errors of a reply, InvX's own and the tax authority's; none is a refusal without a reason.
func (fs faults) outcome(reply *upstream.Reply) bridge.Outcome {
	var all meaning
	var classes []irp.Class
	for _, f := range fs {
		var m meaning
		if len(f.nic) > 0 {
			m.class, m.unlisted = f.nic.Class()
		} else {
			m = f.meaning(reply.Status)
		}
		classes = append(classes, m.class)
		all.alarm, all.hold = cmp.Or(all.alarm, m.alarm), max(all.hold, m.hold)
		all.byState, all.unlisted = all.byState || m.byState, all.unlisted || m.unlisted
	}
	o := fs.list().As(irp.Weigh(classes...), reply, who)
	o.Alarm, o.RetryAfter = cmp.Or(all.alarm, o.Alarm), max(all.hold, o.RetryAfter)
	o.ByState = all.byState && o.Class == bridge.Refused
	o.Unclassified = all.unlisted || o.Unclassified
	return o
}

// notCancellable is what the search said when what it found can't be cancelled or isn't one document. Nothing was sent
// then. HTTPStatus stays 0: none of it concerns the credential. Reads lag writes, so that finding nothing is no last word;
// and where others are listed instead, the search may hide it: how far its filter and its pages go is not documented.
func notCancellable(docs []document, others int) *bridge.Outcome {
	if len(docs) == 0 && others > 0 {
		found := fmt.Sprintf("InvX's search for the IRN lists %d other documents and not this one", others)
		return &bridge.Outcome{Class: bridge.NotApplied, Message: found, Alarm: found + ": narrow it with query, or clear that up with Vayana"}
	}
	if len(docs) == 0 {
		return &bridge.Outcome{Class: bridge.Refused, Code: "2154", Message: "2154: IRN not found for this GSTIN", ByState: true}
	}
	if len(docs) > 1 {
		found := fmt.Sprintf("InvX lists %d documents under one IRN and seller", len(docs))
		return &bridge.Outcome{
			Class: bridge.Misconfigured, Message: found,
			Alarm: found + ": clear that up with Vayana, or narrow the search with query",
		}
	}
	state := string(docs[0].State)
	o := bridge.Outcome{Class: bridge.Refused, Code: wrongState}
	o.Message = wrongState + ": the document's state is " + state + " (" + stateName(state) + ")"
	switch {
	case !final[state] && state != cancelled: // a state that isn't shown, or isn't known, is for InvX to judge
		return nil
	case state == cancelled:
		o.Class, o.Date = bridge.AlreadyCancelled, docs[0].cancelDate()
	}
	return &o
}

// reading is what the document's state proves.
func (d document) reading() bridge.DocumentState {
	state := string(d.State)
	s := bridge.DocumentState{Text: state + ": " + stateName(state)}
	switch {
	case state == cancelled:
		s.Status, s.Date = bridge.StatusCancelled, d.cancelDate()
	case live[state]:
		s.Status = bridge.StatusActive
	case final[state]:
		s.Status = bridge.StatusOther
	}
	return s
}
