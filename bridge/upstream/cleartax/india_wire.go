package cleartax

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// route is one of the two ways to the same system: verb, paths and shapes.
type route struct {
	method, cancelPath string
	getPath            string // the IRN is appended
	done               string // the document_status that goes with a success; empty: the route has none
	body               func(cancelRequestIN) []byte
	read               func([]byte) (replyIN, bool)
}

var (
	govt = route{
		method: http.MethodPost, cancelPath: "/einv/v1/govt/api/Cancel", getPath: "/einv/v1/govt/api/Invoice/irn/",
		body: func(c cancelRequestIN) []byte { return marshal(c) },
		read: readGovt,
	}
	v2 = route{
		method: http.MethodPut, cancelPath: "/einv/v2/eInvoice/cancel", getPath: "/einv/v2/eInvoice/get?irn=", done: "IRN_CANCELLED",
		body: func(c cancelRequestIN) []byte { return marshal([]cancelRequestIN{c}) }, // up to ten fit; one outcome each
		read: readV2,
	}
)

// cancelRequestIN: irn is lower-case here, unlike NIC's own.
type cancelRequestIN struct {
	IRN    string `json:"irn"`
	CnlRsn string // text, though it looks like a number
	CnlRem string
}

// replyIN is what either route answers to either call.
type replyIN struct {
	Success    upstream.Scalar
	Irn        upstream.Scalar
	CancelDate upstream.Scalar // of the government-compatible cancel only
	// Status is ACT or CNL where the route has it (the government-compatible get); document is v2's document_status.
	Status       upstream.Scalar
	ErrorDetails errorsIN
	document     string
}

type errorIN struct {
	Code   upstream.Scalar `json:"error_code"`
	Text   upstream.Scalar `json:"error_message"`
	Source upstream.Scalar `json:"error_source"`
}

// errorsIN is a list of errors, a single one, or v2's object around a list; anything else is none.
type errorsIN []errorIN

// UnmarshalJSON implements json.Unmarshaler.
func (l *errorsIN) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '[':
		return json.Unmarshal(b, (*[]errorIN)(l))
	case '{':
		var one struct {
			errorIN
			Errors json.RawMessage
		}
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		if len(one.Errors) > 0 && one.Errors[0] == '[' {
			return json.Unmarshal(one.Errors, (*[]errorIN)(l))
		}
		if one.errorIN != (errorIN{}) {
			*l = errorsIN{one.errorIN}
		}
	}
	return nil
}

func readGovt(b []byte) (replyIN, bool) {
	var r replyIN
	if json.Unmarshal(b, &r) != nil {
		return replyIN{}, false
	}
	r.ErrorDetails = r.ErrorDetails.telling()
	return r, true
}

// telling are the errors that say anything.
func (l errorsIN) telling() errorsIN {
	return slices.DeleteFunc(l, func(e errorIN) bool { return e.Code == "" && e.Text == "" })
}

// readV2 takes the one element that we asked for, its errors wherever they stand.
func readV2(b []byte) (replyIN, bool) {
	var items []struct {
		Document upstream.Scalar `json:"document_status"`
		Govt     *replyIN        `json:"govt_response"`
		Errors   errorsIN        `json:"errors"`
		Response errorsIN        `json:"error_response"`
	}
	if json.Unmarshal(b, &items) != nil || len(items) != 1 {
		return replyIN{}, false
	}
	var r replyIN
	if items[0].Govt != nil {
		r = *items[0].Govt
	}
	r.document = strings.ToUpper(string(items[0].Document))
	r.ErrorDetails = slices.Concat(r.ErrorDetails, items[0].Errors, items[0].Response).telling()
	return r, true
}

// whoIN says no in alarms: the words are often those of the portal.
const whoIN = "ClearTax, or the portal behind it,"

// gatewayCodes are ClearTax's own codes that are listed (ClearTax E-Invoicing API, Error Codes). Those that ask to try
// again leave open whether the portal has carried the cancel out.
var gatewayCodes = map[string]upstream.IRPClass{
	"101":  upstream.IRPTemporary, // same transaction id
	"201":  upstream.IRPConfig,    // NIC credentials missing
	"301":  upstream.IRPTemporary, // unable to process, try again
	"302":  upstream.IRPTemporary, // NIC servers are not responding
	"500":  upstream.IRPTemporary, // contact support with the error id (seen in production, 2026-11)
	"502":  upstream.IRPConfig,    // no access to this GSTIN
	"5002": upstream.IRPTemporary, // application error
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
func (e errorIN) class() (class upstream.IRPClass, unlisted bool) {
	one := upstream.IRPError{Code: string(e.Code), Text: string(e.Text)}
	if e.own() {
		if class, known := gatewayCodes[one.Code]; known {
			return class, false
		}
		if len(one.Code) == 4 {
			one.Code = ""
		}
	}
	return upstream.IRPErrors{one}.Class()
}

// weigh is what all errors of one reply mean together. token is set when ClearTax refuses our own token in it (105, seen
// in production, 2026-11): it is static, so no login helps. The portal's "Invalid Token" is about ClearTax's session there.
func (l errorsIN) weigh() (class upstream.IRPClass, unlisted, token bool) {
	var classes []upstream.IRPClass
	for _, e := range l {
		c, none := e.class()
		if c == upstream.IRPToken && (e.own() || e.Code == "105" || e.Code == "106") {
			c, token = upstream.IRPConfig, true
		}
		classes, unlisted = append(classes, c), unlisted || none
	}
	return upstream.Weigh(classes...), unlisted, token
}

// list is the errors for the shared code that words them.
func (l errorsIN) list() upstream.IRPErrors {
	all := make(upstream.IRPErrors, 0, len(l))
	for _, e := range l {
		all = append(all, upstream.IRPError{Code: string(e.Code), Text: string(e.Text)})
	}
	return all
}

// classifyIN tells what the reply to a cancel means. o is what its status decides.
func classifyIN(r upstream.Reply, o bridge.Outcome, way route, irn string) bridge.Outcome {
	body, readable := way.read(r.Body)
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

func succeeded(o bridge.Outcome, r upstream.Reply, way route, body replyIN, irn string) bridge.Outcome {
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
func refusedIN(r upstream.Reply, errs errorsIN) bridge.Outcome {
	class, unlisted, token := errs.weigh()
	o := errs.list().As(class, r, whoIN)
	o.Unclassified = o.Unclassified || unlisted
	if token && o.Class == bridge.Misconfigured {
		o.Alarm = tokenAlarm(o.Message)
	}
	return o
}

// envelopeIN reads the reply of a gateway before ClearTax.
func envelopeIN(r upstream.Reply) (bridge.Outcome, bool) {
	errs, ok := upstream.GSPErrors(r.Body)
	if !ok {
		return bridge.Outcome{}, false
	}
	o := errs.GSPOutcome(r, whoIN)
	if class, _ := errs.Class(); class == upstream.IRPToken {
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
func readLookupIN(r upstream.Reply, way route, irn string) (bridge.DocumentState, bridge.Outcome) {
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
	s := bridge.DocumentState{Text: bridge.OneLine(status, 100)}
	switch strings.ToUpper(status) {
	case "CNL", "IRN_CANCELLED":
		s.Status = bridge.StatusCancelled
	case "ACT", "IRN_GENERATED":
		s.Status = bridge.StatusActive
	case "REJ":
		s.Status = bridge.StatusOther
	}
	return s
}
