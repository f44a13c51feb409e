package myinvois

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// doubt is how much of a no an error is, from a plain one up. Of several errors in one reply the greatest doubt counts.
type doubt int

const (
	plain   doubt = iota // MyInvois refuses
	byState              // it refuses, and the document's state decides what that means
	unclear              // a code that no page lists
	trouble              // something on the way failed, MyInvois' answer is not known
)

// meaning is what an error code says about a cancel.
type meaning struct {
	code  string
	doubt doubt
	// text stands in for a message that the reply leaves out; the words of the SDK's pages.
	text string
	// vague codes say no more than the status; with a 403 that is a missing permission.
	vague bool
}

// meanings are the codes of Cancel Document and of Standard Error Response, the most specific ones first, and
// DocumentStatusNotValid, which clients meet in IncorrectState's place.
var meanings = []meaning{
	{code: "OperationPeriodOver", text: "the time limit of cancellation has already run out"},
	{code: "ActiveReferencingDocuments", text: "other documents refer to the document, cancel these first"},
	{code: "IncorrectState", doubt: byState, text: "the document's state does not allow to cancel it"},
	{code: "DocumentStatusNotValid", doubt: byState, text: "the document is not valid"},
	{code: "Forbidden", text: "the document was not issued by this taxpayer"},
	{code: "NotFound", text: "unknown document"},
	{code: "BadArgument", text: "invalid argument", vague: true},
	{code: "ValidationError", text: "the request is not valid", vague: true},
	{code: "BadRequest", text: "the request is not valid", vague: true},
}

// notNow is what MyInvois says of every document that can't be cancelled. Where no code says more, the document's state
// decides.
const notNow = "The document cannot be cancelled or requested for rejection"

// What an operator can do. The first two refusals say less than they mean.
const (
	forbiddenAlarm = "MyInvois forbids to cancel a document (Forbidden): either another taxpayer issued it, or this client lacks the " +
		"permission to cancel documents; of an intermediary it stands in its appointment (MyInvois portal)"
	notNowAlarm = "MyInvois does not say why a document can't be cancelled: unless it is cancelled already, look for a credit, debit " +
		"or refund note that refers to it and cancel that one first"
	otherHostAlarm = "MyInvois refuses tokens that it has just issued (HTTP 401 twice): check that base_url and identity_url belong to " +
		"the same environment"
)

// classify tells what the reply to a cancel means, whose body has been read.
func classify(r *upstream.Reply, body object, uuid string) bridge.Outcome {
	o := verdict(r)
	if o.Class != bridge.None {
		return o
	}
	found := body.problems()
	m, known := decisive(found)
	o.Code, o.Message = summary(found)
	o.Unclassified = slices.ContainsFunc(found, problem.unlisted)
	switch {
	case r.WrongPlace():
		return upstream.Misplaced(o, "MyInvois", "base_url")
	case r.Status == http.StatusUnauthorized:
		o.Class, o.Message = bridge.Misconfigured, strings.TrimSpace("HTTP 401: tokens are refused right after the login "+o.Message)
		o.Alarm = otherHostAlarm
	case r.Status < 300:
		return classifyOK(o, body, found, uuid)
	case len(found) == 0:
		return unread(o)
	case r.Status == http.StatusForbidden && (!known || m.vague):
		o.Class, o.Alarm = bridge.Misconfigured, "MyInvois refuses the right to cancel ("+bridge.OneLine(o.Message, 200)+
			"): check the permissions of the ERP or intermediary in the MyInvois portal"
		o.Message = "HTTP 403: the right to cancel is refused: " + o.Message
	default:
		return refused(o, found)
	}
	return o
}

// classifyOK: success needs the status, the same document and no error.
func classifyOK(o bridge.Outcome, body object, found []problem, uuid string) bridge.Outcome {
	cancelled := strings.EqualFold(body.text("status"), "cancelled")
	switch {
	case body == nil:
		o.Class, o.Message = bridge.Unknown, "the reply can't be read"
	case cancelled && len(found) > 0: // yes and no: look up
		o.Class, o.Message = bridge.Unknown, "the reply says cancelled and reports an error: "+o.Message
	case cancelled && strings.EqualFold(body.text("uuid"), uuid):
		o.Class = bridge.Cancelled
	case cancelled:
		o.Class, o.Message = bridge.Unknown, "the reply names another document"
	case o.Code != "":
		return refused(o, found)
	default:
		o.Class, o.Message = bridge.Unknown, "the reply says neither cancelled nor why not"
	}
	return o
}

// refused is what an error that is MyInvois' own means.
func refused(o bridge.Outcome, found []problem) bridge.Outcome {
	switch doubtOf(found) {
	case trouble:
		o.Class, o.Message = bridge.Unknown, "the reply reports trouble: "+o.Message
	case unclear:
		o.Class = bridge.Unclear
	case byState:
		o.Class, o.ByState = bridge.Refused, true
		if bare(found) {
			o.Alarm = notNowAlarm
		}
	default:
		o.Class = bridge.Refused
		if m, _ := decisive(found); m.code == "Forbidden" {
			o.Alarm = forbiddenAlarm
		}
	}
	return o
}

// doubtOf is the greatest doubt that the most specific errors leave.
func doubtOf(found []problem) (most doubt) {
	if bare(found) {
		return byState
	}
	for _, p := range found {
		if p.leaf {
			most = max(most, p.doubt())
		}
	}
	return most
}

func (p problem) doubt() doubt {
	m, known := decisive([]problem{p})
	switch {
	case (!known || m.vague) && upstream.Trouble(p.code+" "+p.text):
		return trouble
	case !known:
		return unclear
	}
	return m.doubt
}

// bare: nothing is said but notNow.
func bare(found []problem) bool {
	m, known := decisive(found)
	outer := found[len(found)-1].code
	detailed := slices.ContainsFunc(found, func(p problem) bool { return p.leaf && p.code != outer })
	says := func(p problem) bool { return strings.EqualFold(strings.TrimSuffix(p.text, "."), notNow) }
	return (!known || m.vague) && !detailed && slices.ContainsFunc(found, says)
}

// unread is the outcome of a status below 500 whose body is no error of MyInvois: a gateway's page, mostly.
func unread(o bridge.Outcome) bridge.Outcome {
	switch o.HTTPStatus {
	case http.StatusForbidden: // maintenance, seen in production
		o.Class, o.Message = bridge.NotApplied, "HTTP 403 from the gateway, not from MyInvois itself"
	case http.StatusNotFound:
		return upstream.Misplaced(o, "MyInvois", "base_url")
	default:
		o.Class, o.Message = bridge.Unknown, fmt.Sprintf("HTTP %d without an answer that can be read", o.HTTPStatus)
	}
	return o
}

// decisive is the meaning of the most specific known code.
func decisive(found []problem) (meaning, bool) {
	for _, m := range meanings {
		if slices.ContainsFunc(found, func(p problem) bool { return !p.word && strings.EqualFold(p.code, m.code) }) {
			return m, true
		}
	}
	return meaning{}, false
}

// unlisted: the most specific code of its branch is in no list.
func (p problem) unlisted() bool {
	_, known := decisive([]problem{p})
	return p.leaf && !known
}

// summary is the codes and the text that the caller gets: those of the most specific errors.
func summary(found []problem) (codes, message string) {
	var c, m []string
	for _, p := range found {
		if !p.leaf {
			continue
		}
		if p.code != "" && !slices.Contains(c, p.code) {
			c = append(c, p.code)
		}
		if line := p.String(); !slices.Contains(m, line) {
			m = append(m, line)
		}
	}
	return strings.Join(c, ","), strings.Join(m, "; ")
}

// String is the error as callers read it: "CODE: text".
func (p problem) String() string {
	text := p.text
	if text == "" {
		if m, ok := decisive([]problem{p}); ok {
			text = m.text
		}
	}
	switch {
	case text == "":
		return p.code
	case p.code == "":
		return text
	}
	return p.code + ": " + text
}

// verdict is Reply.Verdict with MyInvois' own ways to name the wait after a 429.
func verdict(r *upstream.Reply) bridge.Outcome {
	o := r.Verdict()
	if r.WrongPlace() { // 501 is no doubt
		o = r.Outcome(bridge.None, "")
	}
	if r.Status == http.StatusTooManyRequests && o.RetryAfter == 0 {
		o.RetryAfter = untilReset(r)
	}
	o.UpstreamRef = bridge.OneLine(r.Header.Get("correlationId"), 100)
	return o
}

// untilReset reads X-Rate-Limit-Reset, a time with seven decimals that is there only when a limit is exceeded
// (MyInvois SDK, Integration Practices); five seconds when it can't be read.
func untilReset(r *upstream.Reply) time.Duration {
	const otherwise = 5 * time.Second
	value := strings.TrimSpace(r.Header.Get("X-Rate-Limit-Reset"))
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, value); err == nil {
			return min(max(t.Sub(r.Date()), time.Second), time.Hour)
		}
	}
	return otherwise
}

// hidden is what a 403 means: intermediaries view only what they submitted themselves (MyInvois SDK, FAQ). It says nothing
// about the document.
const hidden = "this client may not view the document"

// readDetails is the document's state; when the reply doesn't tell it, the outcome says why. For an intermediary a document
// that it may not view can look like none.
func readDetails(r *upstream.Reply, uuid string, intermediary bool) (state bridge.DocumentState, failure bridge.Outcome) {
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
	case r.WrongPlace(), r.Status == http.StatusNotFound:
		failure = upstream.Misplaced(o, "MyInvois", "base_url")
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
