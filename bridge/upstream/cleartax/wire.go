package cleartax

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// route is one of the two ways to the same system: verb, paths and shapes.
type route struct {
	method, cancelPath string
	getPath            string // the IRN is appended
	done               string // the document_status that goes with a success; empty: the route has none
	body               func(cancelRequestIN) []byte
	read               func([]byte) (*replyIN, bool)
}

var (
	govt = route{
		method: http.MethodPost, cancelPath: "/einv/v1/govt/api/Cancel", getPath: "/einv/v1/govt/api/Invoice/irn/",
		body: func(c cancelRequestIN) []byte { return upstream.JSON(c) },
		read: readGovt,
	}
	v2 = route{
		method: http.MethodPut, cancelPath: "/einv/v2/eInvoice/cancel", getPath: "/einv/v2/eInvoice/get?irn=", done: "IRN_CANCELLED",
		body: func(c cancelRequestIN) []byte { return upstream.JSON([]cancelRequestIN{c}) }, // up to ten fit; one outcome each
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

func readGovt(b []byte) (*replyIN, bool) {
	r := new(replyIN)
	if json.Unmarshal(b, r) != nil {
		return new(replyIN), false
	}
	r.ErrorDetails = r.ErrorDetails.telling()
	return r, true
}

// telling are the errors that say anything.
func (l errorsIN) telling() errorsIN {
	return slices.DeleteFunc(l, func(e errorIN) bool { return e.Code == "" && e.Text == "" })
}

// readV2 takes the one element that we asked for, its errors wherever they stand.
func readV2(b []byte) (*replyIN, bool) {
	var items []struct {
		Document upstream.Scalar `json:"document_status"`
		Govt     *replyIN        `json:"govt_response"`
		Errors   errorsIN        `json:"errors"`
		Response errorsIN        `json:"error_response"`
	}
	if json.Unmarshal(b, &items) != nil || len(items) != 1 {
		return new(replyIN), false
	}
	r := items[0].Govt
	if r == nil {
		r = new(replyIN)
	}
	r.document = strings.ToUpper(string(items[0].Document))
	r.ErrorDetails = slices.Concat(r.ErrorDetails, items[0].Errors, items[0].Response).telling()
	return r, true
}

type cancelRequestMY struct {
	Reason string
	Action string
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

var (
	documentID = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)
	lhdnUUID   = regexp.MustCompile(`^[0-9A-Z]{26}$`)
)

// maxRemarks is the longest CnlRem, in characters (ClearTax E-Invoicing API, Cancel IRN).
const maxRemarks = 100

// yesOrNo reads a field Success, which is a Boolean in the vendor's schemas and text in its samples.
func yesOrNo(s upstream.Scalar) (yes, no bool) {
	switch strings.ToLower(string(s)) {
	case "true", "y", "yes":
		return true, false
	case "false", "n", "no":
		return false, true
	}
	return false, false
}

// isJSON tells whether the whole body is JSON: an error page of ClearTax itself, not of something in front of it.
func isJSON(r *upstream.Reply) bool { return r.Err == nil && json.Valid(r.Body) }

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

func (b replyMY) found(names named, byID bool) foundMY {
	f := foundMY{named: names, byID: byID, status: bridge.OneLine(string(b.Status), 100), date: upstream.CancelDate(string(b.CancelDate))}
	if t, err := time.Parse(time.RFC3339, string(b.CancelDateTime)); f.date == "" && err == nil && t.Year() > 2000 {
		f.date = t.In(upstream.MYT).Format(time.DateTime)
	}
	return f
}
