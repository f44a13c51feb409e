package cleartax

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

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
	Success      upstream.Scalar
	UUID         upstream.Scalar `json:"Uuid"`
	DocumentID   upstream.Scalar `json:"DocumentId"`
	Status       upstream.Scalar
	CancelDate   upstream.Scalar
	ErrorDetails errorsMY
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

// alreadyMY is the one code of ClearTax in Malaysia that is published. It is no code of LHDN's.
const alreadyMY = "2272"

func (e errorMY) already() bool {
	return e.ErrorCode == alreadyMY || strings.Contains(strings.ToLower(string(e.ErrorMessage)), "already cancelled")
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

// classifyMY tells what the reply to a cancel means. o is what its status decides; known is the document's UUID, where
// it is known.
func classifyMY(r upstream.Reply, o bridge.Outcome, known string) bridge.Outcome {
	if o.Class != bridge.None {
		return o
	}
	var body replyMY
	readable := json.Unmarshal(r.Body, &body) == nil
	yes, no := yesOrNo(body.Success)
	codes, message := body.ErrorDetails.text()
	o.Code, o.Message = codes, message
	switch {
	case r.Status == http.StatusForbidden: // LHDN was never asked, so this is no refusal
		o.Class, o.Message = bridge.Misconfigured, strings.TrimSpace("HTTP 403 "+message)
		o.Alarm = "ClearTax refuses the right to cancel (HTTP 403): the token's user needs the Admin role for this TIN"
	case r.Status == http.StatusNotFound && !isJSON(r):
		return misplaced(r)
	case !readable && r.Status < 300:
		return unread(o)
	case slices.ContainsFunc(body.ErrorDetails, errorMY.already):
		o.Class = bridge.AlreadyCancelled
	case r.Status < 300:
		return saidMY(o, r, body, yes, no, known)
	case yes:
		return unread(o)
	case message != "", r.Status == http.StatusBadRequest, r.Status == http.StatusNotFound:
		o.Class, o.Unclassified = bridge.Refused, codes != ""
		o.Message = cmp.Or(message, map[int]string{400: "invalid request", 404: "unknown document"}[r.Status])
	default:
		return unread(o)
	}
	return o
}

// saidMY reads a reply with HTTP 200, which success and refusal share.
func saidMY(o bridge.Outcome, r upstream.Reply, body replyMY, yes, no bool, known string) bridge.Outcome {
	switch {
	case yes && o.Message != "":
		o.Class = bridge.Unknown // says yes and no
	case yes && known != "" && body.UUID != "" && !strings.EqualFold(string(body.UUID), known):
		o.Class, o.Message = bridge.Unknown, "the reply names another document"
	case yes:
		o.Class = bridge.Cancelled
		return dated(o, r, body.CancelDate, upstream.MYT)
	case no && o.Message != "":
		o.Class, o.Unclassified = bridge.Refused, true
	case no:
		o.Class, o.Message = bridge.Unknown, "ClearTax reported failure without a reason"
	default:
		o.Class, o.Message = bridge.Unknown, "the reply says neither success nor failure"
	}
	return o
}

// foundMY is what a lookup brought: a document, or why there is none.
type foundMY struct {
	named
	status string // in ClearTax's words
	date   string
	code   string // when there is none
	reason string
}

// readLookupMY reads the reply to a lookup by name ("uuid" or "document-id"). The outcome's class is None when it was
// an answer.
func readLookupMY(r upstream.Reply, o bridge.Outcome, name, value string) (foundMY, bridge.Outcome) {
	if o.Class != bridge.None {
		return foundMY{}, o
	}
	var body replyMY
	readable := json.Unmarshal(r.Body, &body) == nil
	_, no := yesOrNo(body.Success)
	id := string(body.DocumentID)
	codes, message := body.ErrorDetails.text()
	none := foundMY{code: codes, reason: bridge.OneLine(message, 300)}
	switch {
	case r.Status == http.StatusForbidden:
		return foundMY{}, classifyMY(r, o, "")
	case r.Status == http.StatusNotFound && isJSON(r), r.Status == http.StatusBadRequest && message != "":
		return none, o
	case r.Status == http.StatusNotFound:
		return foundMY{}, misplaced(r)
	case r.Status >= 300 || !readable:
		return foundMY{}, unread(o)
	case no:
		return none, o
	case name == "document-id" && (id == "" || id == value):
		return body.found(named{id: value, uuid: string(body.UUID)}), o
	case name == "uuid" && documentID.MatchString(id) && (body.UUID == "" || string(body.UUID) == value):
		return body.found(named{id: id, uuid: value}), o
	}
	return foundMY{}, unread(o)
}

func (b replyMY) found(doc named) foundMY {
	return foundMY{named: doc, status: bridge.OneLine(string(b.Status), 100), date: upstream.IRPDate(string(b.CancelDate))}
}

// refusal is the outcome of a cancel whose document ClearTax doesn't have.
func (f foundMY) refusal() bridge.Outcome {
	o := bridge.Outcome{Class: bridge.Refused, Code: f.code, Message: f.reason}
	if o.Message == "" {
		o.Code, o.Message = "NotFound", "NotFound: unknown document"
	}
	return o
}

// state is what the lookup tells about the document. A document that isn't VALID can't be cancelled.
func (f foundMY) state() bridge.DocumentState {
	s := bridge.DocumentState{Text: f.reason}
	if f.id == "" {
		return s
	}
	switch s.Text = f.status; strings.ToUpper(f.status) {
	case "CANCELLED":
		s.Status, s.Date = bridge.StatusCancelled, f.date
	case "VALID":
		s.Status = bridge.StatusActive
	case "INVALID", "SUBMITTED", "NOT_SUBMITTED":
		s.Status = bridge.StatusOther
	}
	return s
}
