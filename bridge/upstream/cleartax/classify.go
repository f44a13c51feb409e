package cleartax

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// verdict is what the status alone decides, whatever the body says: doubt and waiting (Reply.Verdict), and a token or
// an address that are wrong. Otherwise the class is None.
func verdict(r *upstream.Reply) bridge.Outcome {
	switch {
	case r.Status == http.StatusUnauthorized:
		o := r.Outcome(bridge.Misconfigured, "HTTP 401: the token was refused")
		o.Alarm = tokenAlarm("HTTP 401")
		return o
	case r.WrongPlace():
		return misplaced(r)
	}
	return r.Verdict()
}

func misplaced(r *upstream.Reply) bridge.Outcome {
	return upstream.Misplaced(r.Outcome(bridge.None, ""), "ClearTax", "base_url")
}

// unread is the outcome of a reply of which neither status nor body decides.
func unread(o bridge.Outcome) bridge.Outcome {
	o.Class, o.Message = bridge.Unknown, fmt.Sprintf("HTTP %d without an answer that can be read", o.HTTPStatus)
	return o
}

// dated is a cancelled outcome with the date that the reply names.
func dated(o bridge.Outcome, r *upstream.Reply, date upstream.Scalar, zone *time.Location) bridge.Outcome {
	done := r.Cancelled(string(date), zone)
	done.UpstreamRef = o.UpstreamRef
	return done
}

// whoIN says no in alarms: the words are often those of the portal.
const whoIN = "ClearTax, or the portal behind it,"

// gatewayCodes are ClearTax's own codes that are listed (ClearTax E-Invoicing API, Error Codes). Those that ask to try
// again leave open whether the portal has carried the cancel out.
var gatewayCodes = map[string]irp.Class{
	"101":  irp.Temporary, // same transaction id
	"201":  irp.Config,    // NIC credentials missing
	"301":  irp.Temporary, // unable to process, try again
	"302":  irp.Temporary, // NIC servers are not responding
	"500":  irp.Temporary, // contact support with the error id (seen in production, 2026-11)
	"502":  irp.Config,    // no access to this GSTIN
	"5002": irp.Temporary, // application error
}

// own tells whether the error is ClearTax's, not the portal's.
func (e errorIN) own() bool {
	if strings.EqualFold(string(e.Source), "GOVT") {
		return false
	}
	_, known := gatewayCodes[string(e.Code)]
	return known || strings.EqualFold(string(e.Source), "CLEARTAX")
}

// class of one error. ClearTax numbers by itself: where its codes are those of no list, four digits are not the portal's.
func (e errorIN) class() (class irp.Class, unlisted bool) {
	one := irp.Error{Code: string(e.Code), Text: string(e.Text)}
	if e.own() {
		if class, known := gatewayCodes[one.Code]; known {
			return class, false
		}
		if len(one.Code) == 4 {
			one.Code = ""
		}
	}
	return irp.Errors{one}.Class()
}

// weigh is what all errors of one reply mean together. token is set when ClearTax refuses our own token in it (105, seen
// in production, 2026-11): it is static, so no login helps. The portal's "Invalid Token" is about ClearTax's session there.
func (l errorsIN) weigh() (class irp.Class, unlisted, token bool) {
	var classes []irp.Class
	for _, e := range l {
		c, none := e.class()
		if c == irp.Token && (e.own() || e.Code == "105" || e.Code == "106") {
			c, token = irp.Config, true
		}
		classes, unlisted = append(classes, c), unlisted || none
	}
	return irp.Weigh(classes...), unlisted, token
}

// list is the errors for the shared code that words them.
func (l errorsIN) list() irp.Errors {
	all := make(irp.Errors, 0, len(l))
	for _, e := range l {
		all = append(all, irp.Error{Code: string(e.Code), Text: string(e.Text)})
	}
	return all
}

// classifyIN tells what the reply to a cancel means, which has been read. o is what its status decides.
func classifyIN(r *upstream.Reply, body *replyIN, readable bool, o bridge.Outcome, way route, irn string) bridge.Outcome {
	said := body.ErrorDetails.list()
	if o.Class == bridge.Unknown && len(said) > 0 {
		o.Code, o.Message = said.Codes(), o.Message+": "+said.Message()
	}
	if o.Class != bridge.None {
		return o
	}
	yes, no := yesOrNo(body.Success)
	switch {
	case readable && yes && r.Status < 300:
		return succeeded(o, r, way, body, irn)
	case readable && !yes && body.ErrorDetails.decide(r.Status):
		return refusedIN(r, body.ErrorDetails)
	}
	if before, ok := envelopeIN(r); ok {
		return before
	}
	switch {
	case r.Status == http.StatusForbidden:
		return forbidden(o)
	case r.Status == http.StatusNotFound:
		return misplaced(r)
	case no, r.Status == http.StatusBadRequest && !yes:
		return refusedIN(r, nil)
	}
	return unread(o)
}

func succeeded(o bridge.Outcome, r *upstream.Reply, way route, body *replyIN, irn string) bridge.Outcome {
	done := map[string]bool{way.done: true, "CNL": true}
	switch {
	case len(body.ErrorDetails) > 0:
		said := body.ErrorDetails.list()
		o.Class, o.Code, o.Message = bridge.Unknown, said.Codes(), "success and errors in one: "+said.Message()
	case !strings.EqualFold(string(body.Irn), irn):
		o.Class, o.Message = bridge.Unknown, "the reply names another document, or none"
	case !done[body.document], body.Status != "" && !done[strings.ToUpper(string(body.Status))]:
		o.Class = bridge.Unknown
		o.Message = "the reply says success, but the document's status is " + bridge.OneLine(body.document+" "+string(body.Status), 100)
	default:
		o.Class = bridge.Cancelled
		return dated(o, r, body.CancelDate, upstream.IST)
	}
	return o
}

// decide tells whether the errors are an answer, whatever the status.
func (l errorsIN) decide(status int) bool {
	class, _, _ := l.weigh()
	return len(l) > 0 && class.Decides(status)
}

// refusedIN is for a failure, with its reasons or without any.
func refusedIN(r *upstream.Reply, errs errorsIN) bridge.Outcome {
	class, unlisted, token := errs.weigh()
	o := errs.list().As(class, r, whoIN)
	o.Unclassified = o.Unclassified || unlisted
	if token && o.Class == bridge.Misconfigured {
		o.Alarm = tokenAlarm(o.Message)
	}
	return o
}

// envelopeIN reads the reply of a gateway before ClearTax.
func envelopeIN(r *upstream.Reply) (bridge.Outcome, bool) {
	errs, ok := irp.GSPErrors(r.Body)
	if !ok {
		return bridge.Outcome{}, false
	}
	o := errs.GSPOutcome(r, whoIN)
	if class, _ := errs.Class(); class == irp.Token {
		o.Class, o.Alarm = bridge.Misconfigured, tokenAlarm(o.Message)
	}
	return o, true
}

func forbidden(o bridge.Outcome) bridge.Outcome {
	o.Class, o.Message = bridge.Misconfigured, "HTTP 403"
	o.Alarm = "ClearTax refuses access (HTTP 403): the token's user has no access to this GSTIN"
	return o
}

// readLookupIN reads the reply to a lookup. The outcome's class is None when it was an answer. What the portal doesn't
// show proves nothing: another portal may hold it, or it is too old.
func readLookupIN(r *upstream.Reply, way route, irn string) (bridge.DocumentState, bridge.Outcome) {
	o := verdict(r)
	if o.Class != bridge.None {
		return bridge.DocumentState{}, o
	}
	body, readable := way.read(r.Body)
	yes, _ := yesOrNo(body.Success)
	before, enveloped := envelopeIN(r)
	switch {
	case readable && body.ErrorDetails.decide(r.Status):
		o = refusedIN(r, body.ErrorDetails)
		if o.Class == bridge.Refused || o.Class == bridge.AlreadyCancelled || o.Class == bridge.Unclear {
			return bridge.DocumentState{Text: bridge.OneLine(o.Message, 300)}, bridge.Outcome{}
		}
		return bridge.DocumentState{}, o
	case enveloped:
		return bridge.DocumentState{}, before
	case r.Status == http.StatusForbidden:
		return bridge.DocumentState{}, forbidden(o)
	case r.Status == http.StatusNotFound:
		return bridge.DocumentState{}, misplaced(r)
	case !readable || !yes || len(body.ErrorDetails) > 0 || r.Status >= 300 || !strings.EqualFold(string(body.Irn), irn):
		return bridge.DocumentState{}, unread(o)
	}
	status := string(body.Status)
	if status == "" {
		status = body.document
	}
	return stateIN(status), bridge.Outcome{}
}

func stateIN(status string) bridge.DocumentState {
	s := irp.State(status)
	switch strings.ToUpper(status) {
	case "IRN_CANCELLED":
		s.Status = bridge.StatusCancelled
	case "IRN_GENERATED":
		s.Status = bridge.StatusActive
	}
	s.Text = bridge.OneLine(status, 100)
	return s
}

// errorMeaning is what one error says about a cancel. Of several the greatest counts.
type errorMeaning int

const (
	saysNo       errorMeaning = iota // ClearTax or LHDN refuses
	saysNoState                      // it refuses, and the document's state decides what that means
	saysAlready                      // the document is cancelled
	saysUnlisted                     // in a code or text that no page lists
	saysTrouble                      // something on the way failed
)

// errorCodes are those that are known. 2272 is ClearTax's, the only one that it publishes (Cancel E-Invoice); the others are
// LHDN's (MyInvois SDK, Cancel Document and Standard Error Response), which ClearTax passes on.
var errorCodes = map[string]errorMeaning{
	"2272":                       saysAlready,
	"operationperiodover":        saysNo,
	"activereferencingdocuments": saysNo,
	"forbidden":                  saysNo,
	"notfound":                   saysNo,
	"badargument":                saysNo,
	"incorrectstate":             saysNoState,
	"documentstatusnotvalid":     saysNoState,
}

// errorTexts are what the page Cancel E-Invoice demands of a document, in its words, for errors whose code is not known; the
// first is LHDN's for whatever can't be cancelled.
var errorTexts = []struct {
	says  *regexp.Regexp
	means errorMeaning
}{
	{regexp.MustCompile(`(?i)cannot be cancelled or requested for rejection`), saysNoState},
	{regexp.MustCompile(`(?i)already cancelled`), saysAlready},
	{noSuch, saysNo},
	{regexp.MustCompile(`(?i)\b72 hours|not the generator`), saysNo},
}

// noSuch are texts for a document that ClearTax doesn't have.
var noSuch = regexp.MustCompile(`(?i)no such|not found|(does not|doesn't) exist|not present|unknown document`)

// saysNoSuch reads such a text outside an error's own field. A bare "Not Found" is what any server says of an address that it
// doesn't know.
func saysNoSuch(text string) bool {
	return noSuch.MatchString(text) && !strings.EqualFold(strings.Trim(text, " ."), http.StatusText(http.StatusNotFound))
}

func (e errorMY) meaning() errorMeaning {
	if m, ok := errorCodes[strings.ToLower(string(e.ErrorCode))]; ok {
		return m
	}
	for _, t := range errorTexts {
		if t.says.MatchString(string(e.ErrorMessage)) {
			return t.means
		}
	}
	if upstream.Trouble(string(e.ErrorCode + " " + e.ErrorMessage)) {
		return saysTrouble
	}
	return saysUnlisted
}

// meaning of all of them. "Already" beside anything else is no plain word.
func (l errorsMY) meaning() errorMeaning {
	most, least := saysNo, saysTrouble
	for _, e := range l {
		m := e.meaning()
		most, least = max(most, m), min(least, m)
	}
	if most == saysAlready && least != saysAlready {
		return saysUnlisted
	}
	return most
}

// text is "CODE: text" of all errors, and the codes.
func (l errorsMY) text() (codes, message string) {
	var c, m []string
	for _, e := range l {
		code, text := string(e.ErrorCode), string(e.ErrorMessage)
		if code != "" && !slices.Contains(c, code) {
			c = append(c, code)
		}
		switch {
		case code != "" && text != "":
			m = append(m, code+": "+text)
		case code+text != "":
			m = append(m, code+text)
		}
	}
	return strings.Join(c, ","), strings.Join(m, "; ")
}

// classifyMY tells what the reply to a cancel means. o is what its status decides; asked is the document it was about.
func classifyMY(r *upstream.Reply, o bridge.Outcome, asked named) bridge.Outcome {
	if o.Class != bridge.None {
		return o
	}
	var body replyMY
	readable := json.Unmarshal(r.Body, &body) == nil
	yes, no := yesOrNo(body.Success)
	o.Code, o.Message = body.ErrorDetails.text()
	switch {
	case r.Status == http.StatusForbidden: // LHDN was never asked, so this is no refusal
		return forbiddenMY(o)
	case r.Status == http.StatusNotFound && !isJSON(r):
		return misplaced(r)
	case r.Status == http.StatusBadRequest && len(r.Body) == 0:
		o.Class, o.Message = bridge.Refused, "invalid request"
		return o
	case !readable:
		return unread(o)
	case yes && r.Status < 300:
		return confirmedMY(o, r, body, asked)
	case yes:
		return unread(o)
	case o.Message != "":
		return refusedMY(o, body.ErrorDetails)
	case upstream.Trouble(string(body.Message)): // of something in front of ClearTax
		o.Class, o.Message, o.Unclassified = bridge.Unknown, "the reply reports trouble: "+bridge.OneLine(string(body.Message), 300), true
	case r.Status == http.StatusBadRequest:
		o.Class, o.Message = bridge.Refused, "invalid request"
	case r.Status == http.StatusNotFound && saysNoSuch(string(body.Message)):
		o.Class, o.Message = bridge.Refused, "unknown document"
	case r.Status == http.StatusNotFound: // perhaps of a gateway that knows no such address
		o.Class, o.Unclassified = bridge.Unclear, true
		o.Message = strings.TrimSpace(bridge.OneLine("HTTP 404 "+string(body.Message), 300))
	case no:
		o.Class, o.Message = bridge.Unknown, "ClearTax reported failure without a reason"
	case r.Status < 300:
		o.Class, o.Message = bridge.Unknown, "the reply says neither success nor failure"
	default:
		return unread(o)
	}
	return o
}

func forbiddenMY(o bridge.Outcome) bridge.Outcome {
	o.Class, o.Message = bridge.Misconfigured, strings.TrimSpace("HTTP 403: the right to act for this TIN is refused "+o.Message)
	o.Alarm = "ClearTax refuses the right to cancel (HTTP 403): the token's user needs the Admin role for this TIN"
	return o
}

// confirmedMY reads a success. It must name the document that was asked for, by either name, and no other.
func confirmedMY(o bridge.Outcome, r *upstream.Reply, body replyMY, asked named) bridge.Outcome {
	id, uuid := string(body.DocumentID), string(body.UUID)
	o.Class = bridge.Unknown
	switch {
	case len(body.ErrorDetails) > 0:
		o.Message = strings.TrimSpace("the reply says success and reports an error: " + o.Message)
	case id != "" && id != asked.id, uuid != "" && !strings.EqualFold(uuid, asked.uuid):
		o.Message = bridge.OneLine("the reply names another document: "+strings.TrimSpace(id+" "+uuid), 200)
		o.Alarm = "ClearTax reports that it cancelled another document than " + asked.uuid + " (" + bridge.OneLine(id+" "+uuid, 100) + "): look both up"
	case id == "" && uuid == "":
		o.Message = "the reply says success and names no document"
	default:
		o.Class = bridge.Cancelled
		return dated(o, r, body.CancelDate, upstream.MYT)
	}
	return o
}

// refusedMY reads the errors of a failure. An invalid request is refused by its status (Cancel E-Invoice, Response Status
// Codes), whatever its code; that is told apart from trouble in the same envelope.
func refusedMY(o bridge.Outcome, errors errorsMY) bridge.Outcome {
	o.Unclassified = slices.ContainsFunc(errors, func(e errorMY) bool { return e.meaning() >= saysUnlisted })
	switch m := errors.meaning(); {
	case m == saysTrouble:
		o.Class, o.Message = bridge.Unknown, "the reply reports trouble: "+o.Message
	case m == saysUnlisted && o.HTTPStatus != http.StatusBadRequest:
		o.Class = bridge.Unclear
	case m == saysAlready:
		o.Class = bridge.AlreadyCancelled
	default:
		o.Class, o.ByState = bridge.Refused, m == saysNoState
	}
	return o
}

// readLookupMY reads the reply to a question. The outcome's class is None when it was an answer.
func readLookupMY(r *upstream.Reply, o bridge.Outcome, q question) (foundMY, bridge.Outcome) {
	if o.Class != bridge.None {
		return foundMY{}, o
	}
	var body replyMY
	readable := json.Unmarshal(r.Body, &body) == nil
	_, no := yesOrNo(body.Success)
	_, message := body.ErrorDetails.text()
	none := foundMY{reason: bridge.OneLine(cmp.Or(message, string(body.Message)), 300)}
	none.missing = saysNoSuch(none.reason)
	id, uuid := string(body.DocumentID), strings.ToUpper(string(body.UUID))
	switch {
	case r.Status == http.StatusForbidden:
		o.Message = message
		return foundMY{}, forbiddenMY(o)
	case r.Status == http.StatusNotFound && !isJSON(r):
		return foundMY{}, misplaced(r)
	case r.Status == http.StatusNotFound, r.Status == http.StatusBadRequest && none.reason != "":
		return none, o
	case r.Status >= 300 || !readable:
		return foundMY{}, unread(o)
	case no:
		return none, o
	case q.name == "document-id" && id == q.value:
		if !lhdnUUID.MatchString(uuid) {
			uuid = ""
		}
		return body.found(named{id, uuid}, true), o
	case q.name == "uuid" && (uuid == q.value && id == "" || documentID.MatchString(id) && (uuid == "" || uuid == q.value)):
		return body.found(named{id, q.value}, false), o
	}
	return foundMY{}, unread(o)
}

// nothing is the outcome of a cancel for which the lookup brought no name to use. Nothing was sent for it.
func (f foundMY) nothing() *bridge.Outcome {
	o := &bridge.Outcome{Class: bridge.NotApplied}
	switch state := strings.ToUpper(f.status); {
	case f.named == named{} && f.missing:
		o.Class, o.Code, o.Message = bridge.Refused, "NotFound", "NotFound: unknown document"
	case f.named == named{}: // in words that no page lists
		o.Unclassified, o.Message = true, "ClearTax was asked for the document and answers: "+cmp.Or(f.reason, "failure without a reason")
	case f.uuid == "" && (state == "NOT_SUBMITTED" || state == "SUBMITTED" || state == "INVALID"):
		o.Class, o.Code = bridge.Refused, "IncorrectState"
		o.Message = "IncorrectState: the document has no LHDN UUID (" + f.status + "), so there is nothing to cancel"
	default: // no reference says that this can be
		o.Message = "ClearTax names only one of the document's two ids (" + f.id + f.uuid + ", " + f.status + ")"
		o.Alarm = o.Message + ": the cancellation can't be carried out without the other; ask ClearTax"
	}
	return o
}

// state is what the lookup tells about the document. Only INVALID is final beside CANCELLED: what LHDN has not validated
// yet becomes VALID or INVALID.
func (f foundMY) state() bridge.DocumentState {
	if f.named == (named{}) {
		return bridge.DocumentState{Text: f.reason}
	}
	s := bridge.DocumentState{Text: f.status}
	switch strings.ToUpper(f.status) {
	case "CANCELLED":
		s.Status, s.Date = bridge.StatusCancelled, f.date
	case "VALID", "SUBMITTED", "NOT_SUBMITTED":
		s.Status = bridge.StatusActive
	case "INVALID":
		s.Status = bridge.StatusOther
	}
	return s
}
