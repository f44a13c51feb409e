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

// meaning is what an error code says about a cancel.
type meaning struct {
	code string
	// class is None when the document's state decides.
	class bridge.Class
	// text stands in for a message that the reply leaves out; the words of the SDK's pages.
	text string
	// vague codes say no more than the status; with a 403 that is a missing permission.
	vague bool
}

// meanings are the codes of Cancel Document and of Standard Error Response, the most specific ones first.
var meanings = []meaning{
	{code: "OperationPeriodOver", class: bridge.Refused, text: "the time limit of cancellation has already run out"},
	{code: "ActiveReferencingDocuments", class: bridge.Refused, text: "other documents refer to the document, cancel these first"},
	{code: "IncorrectState", class: bridge.None, text: "the document's state does not allow to cancel it"},
	{code: "Forbidden", class: bridge.Refused, text: "the document was not issued by this taxpayer"},
	{code: "NotFound", class: bridge.Refused, text: "unknown document"},
	{code: "BadArgument", class: bridge.Refused, text: "invalid argument", vague: true},
	{code: "ValidationError", class: bridge.Refused, text: "the request is not valid", vague: true},
	{code: "BadRequest", class: bridge.Refused, text: "the request is not valid", vague: true},
}

// notNow is what MyInvois says of every document that can't be cancelled. When no code says more, the document's state
// decides.
const notNow = "The document cannot be cancelled or requested for rejection"

// classify tells what the reply to a cancel means. Class None: the document's state decides, see Adapter.settle.
func classify(r upstream.Reply, uuid string) bridge.Outcome {
	o := verdict(r)
	if o.Class != bridge.None {
		return o
	}
	body := readObject(r)
	found := body.problems()
	m, known := decisive(found)
	o.Code, o.Message = summary(found)
	o.Unclassified = slices.ContainsFunc(found, problem.unlisted)
	switch {
	case wrongPlace(r.Status):
		return misplaced(o, "base_url")
	case r.Status == http.StatusUnauthorized:
		o.Class, o.Alarm = bridge.Misconfigured, "MyInvois refuses tokens that it has just issued (HTTP 401 twice): "+
			"check that base_url and identity_url belong to the same environment"
	case r.Status < 300:
		return classifyOK(o, body, found, uuid)
	case len(found) == 0:
		return unread(o)
	case r.Status == http.StatusForbidden && (!known || m.vague):
		o.Class, o.Alarm = bridge.Misconfigured, "MyInvois refuses the right to cancel ("+bridge.OneLine(o.Message, 200)+
			"): check the permissions of the ERP or intermediary in the MyInvois portal"
	default:
		o.Class = classOf(found)
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
		o.Class = bridge.Unknown
	case cancelled && strings.EqualFold(body.text("uuid"), uuid):
		o.Class = bridge.Cancelled
	case cancelled:
		o.Class, o.Message = bridge.Unknown, "the reply names another document"
	case o.Code != "":
		o.Class = classOf(found)
	default:
		o.Class, o.Message = bridge.Unknown, "the reply says neither cancelled nor why not"
	}
	return o
}

// classOf is what an error that is MyInvois' own means: a code that no page lists is a refusal too.
func classOf(found []problem) bridge.Class {
	m, known := decisive(found)
	saysNotNow := func(p problem) bool { return strings.EqualFold(strings.TrimSuffix(p.text, "."), notNow) }
	switch {
	case known && !m.vague:
		return m.class
	case slices.ContainsFunc(found, saysNotNow) && !hasDetail(found):
		return bridge.None
	}
	return bridge.Refused
}

// unread is the outcome of a status below 500 whose body is no error of MyInvois: a gateway's page, mostly.
func unread(o bridge.Outcome) bridge.Outcome {
	switch o.HTTPStatus {
	case http.StatusForbidden: // maintenance, seen in production
		o.Class, o.Message = bridge.NotApplied, "HTTP 403 from the gateway, not from MyInvois itself"
	case http.StatusNotFound:
		return misplaced(o, "base_url")
	default:
		o.Class, o.Message = bridge.Unknown, fmt.Sprintf("HTTP %d without an answer that can be read", o.HTTPStatus)
	}
	return o
}

// decisive is the meaning of the most specific known code.
func decisive(found []problem) (meaning, bool) {
	for _, m := range meanings {
		if slices.ContainsFunc(found, func(p problem) bool { return strings.EqualFold(p.code, m.code) }) {
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

// hasDetail tells whether some inner error has a code of its own, beside that of the outermost one, which is the last.
func hasDetail(found []problem) bool {
	outer := found[len(found)-1].code
	return slices.ContainsFunc(found, func(p problem) bool { return p.leaf && p.code != outer })
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
func verdict(r upstream.Reply) bridge.Outcome {
	o := r.Verdict()
	if wrongPlace(r.Status) { // 501 is no doubt
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
func untilReset(r upstream.Reply) time.Duration {
	const otherwise = 5 * time.Second
	value := strings.TrimSpace(r.Header.Get("X-Rate-Limit-Reset"))
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, value); err == nil {
			return min(max(t.Sub(r.Date()), time.Second), time.Hour)
		}
	}
	return otherwise
}

// wrongPlace is true for statuses that an address gives that is not MyInvois.
func wrongPlace(status int) bool {
	return status >= 300 && status < 400 || status == http.StatusMethodNotAllowed ||
		status == http.StatusUnsupportedMediaType || status == http.StatusNotImplemented
}

func misplaced(o bridge.Outcome, setting string) bridge.Outcome {
	o.Class = bridge.Misconfigured
	o.Message = fmt.Sprintf("HTTP %d: not an address of MyInvois", o.HTTPStatus)
	o.Alarm = fmt.Sprintf("%s does not answer as MyInvois does (HTTP %d): check it", setting, o.HTTPStatus)
	return o
}
