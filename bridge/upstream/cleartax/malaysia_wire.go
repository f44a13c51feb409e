package cleartax

import (
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

type cancelRequestMY struct {
	Reason string
	Action string
}

// maxReasonMY is LHDN's limit in characters; ClearTax states none.
const maxReasonMY = 300

// reasonMY is the label with the remarks, in one line. It is never empty.
func reasonMY(c bridge.Cancellation) string {
	text := c.Reason.Label()
	if c.Remarks != "" {
		text += ": " + c.Remarks
	}
	return strings.TrimSpace(bridge.OneLine(text, maxReasonMY))
}

// replyMY is what both calls answer, as far as we rely on it.
type replyMY struct {
	Success    upstream.Scalar
	UUID       upstream.Scalar `json:"Uuid"`
	DocumentID upstream.Scalar `json:"DocumentId"`
	Status     upstream.Scalar
	CancelDate upstream.Scalar
	// CancelDateTime is in the reply to a status call, beside Uuid (seen in production).
	CancelDateTime upstream.Scalar
	ErrorDetails   errorsMY
	Message        upstream.Scalar // of a gateway, ClearTax's own or one in front of it
}

type errorMY struct{ ErrorCode, ErrorMessage upstream.Scalar }

// errorsMY is a list of errors, or a single one; anything else is none.
type errorsMY []errorMY

// UnmarshalJSON implements json.Unmarshaler.
func (l *errorsMY) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '[':
		return json.Unmarshal(b, (*[]errorMY)(l))
	case '{':
		*l = make(errorsMY, 1)
		return json.Unmarshal(b, &(*l)[0])
	}
	return nil
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
func classifyMY(r upstream.Reply, o bridge.Outcome, asked named) bridge.Outcome {
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
	case r.Status == http.StatusBadRequest:
		o.Class, o.Message = bridge.Refused, "invalid request"
	case r.Status == http.StatusNotFound && noSuch.MatchString(string(body.Message)):
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
func confirmedMY(o bridge.Outcome, r upstream.Reply, body replyMY, asked named) bridge.Outcome {
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

// foundMY is what a lookup brought: a document, or why there is none.
type foundMY struct {
	named
	byID   bool   // it was asked for by its document id
	status string // in ClearTax's words
	date   string
	// When there is none: missing, when ClearTax says in known words that it has no such document.
	missing bool
	reason  string
}

func (f foundMY) cancelled() bool { return strings.EqualFold(f.status, "CANCELLED") }

// readLookupMY reads the reply to a question. The outcome's class is None when it was an answer.
func readLookupMY(r upstream.Reply, o bridge.Outcome, q question) (foundMY, bridge.Outcome) {
	if o.Class != bridge.None {
		return foundMY{}, o
	}
	var body replyMY
	readable := json.Unmarshal(r.Body, &body) == nil
	_, no := yesOrNo(body.Success)
	_, message := body.ErrorDetails.text()
	none := foundMY{reason: bridge.OneLine(cmp.Or(message, string(body.Message)), 300)}
	none.missing = noSuch.MatchString(none.reason)
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

func (b replyMY) found(names named, byID bool) foundMY {
	f := foundMY{named: names, byID: byID, status: bridge.OneLine(string(b.Status), 100), date: upstream.IRPDate(string(b.CancelDate))}
	if t, err := time.Parse(time.RFC3339, string(b.CancelDateTime)); f.date == "" && err == nil && t.Year() > 2000 {
		f.date = t.In(upstream.MYT).Format(time.DateTime)
	}
	return f
}

// nothing is the outcome of a cancel for which the lookup brought no name to use. Nothing was sent for it.
func (f foundMY) nothing() bridge.Outcome {
	o := bridge.Outcome{Class: bridge.NotApplied}
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
